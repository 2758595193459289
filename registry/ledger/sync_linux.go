package ledger

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncEach says that every file has to be forced to disk by itself.
const syncEach = false

// syncAll waits until everything written to the file system of dir is on disk:
// one call, however many tiles there were.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
