package journal

import "os"

// SlowDisk are options of a journal on a disk that tells before everything is
// durable, waits for the answer and then works as ever.
func SlowDisk(o Options, before func()) Options {
	o.sync = func(f *os.File) error {
		before()
		return datasync(f)
	}
	return o
}

// FailingDisk are options of a journal on a disk that fails when it is told to.
func FailingDisk(o Options, err func() error) Options {
	o.sync = func(f *os.File) error {
		if err := err(); err != nil {
			return err
		}
		return datasync(f)
	}
	return o
}
