// Package demo plays the whole story on loopback: a lookalike platform, a
// population of accounts, clone sites that republish what some of the accounts
// took, and Birdring finding out which.
package demo

import (
	"context"
	"errors"
	"io"
)

// Options of a demo run. Zero values mean the defaults named here.
type Options struct {
	Dir      string    // data folder; "" is a new temporary one
	Sites    int       // clone sites, default 8
	Accounts int       // accounts on the platform, default 200
	Keep     bool      // keep the temporary folder
	Hold     bool      // keep serving the console afterwards
	JSON     bool      // results as JSON lines on Out
	Seed     uint64    // of the painted pictures and the crowd; 0 draws one
	Out, Log io.Writer // results; progress and logs
	Exe      string    // this program, started again for clone sites
}

// PlatformOptions of the lookalike platform alone.
type PlatformOptions struct {
	Dir, Listen string
	Accounts    int
	JSON        bool
	Out, Log    io.Writer
}

// Run plays the demo and reports whether every site came out as the truth has it.
func Run(ctx context.Context, o Options) (ok bool, err error) { return false, errors.New("demo: wait") }

// Platform serves only the lookalike platform until ctx ends.
func Platform(ctx context.Context, o PlatformOptions) error { return errors.New("demo: wait") }

// CloneMain is the main function of a clone site's process.
func CloneMain(ctx context.Context, args []string) error { return errors.New("demo: wait") }
