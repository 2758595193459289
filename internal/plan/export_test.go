package plan

// Plant is plant, for tests.
var Plant = plant
