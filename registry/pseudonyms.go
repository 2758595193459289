package registry

// pseudonymsKey in meta says that accounts are kept under pseudonyms.
const pseudonymsKey = "pseudonyms"
