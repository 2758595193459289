//go:build !linux

package ledger

// syncEach says that every file has to be forced to disk by itself.
const syncEach = true

// syncAll is not asked for where every file is forced to disk by itself.
func syncAll(dir string) error { return syncFolder(dir) }
