package journal_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"birdring/beacon/journal"
)

// A disk that is slow to make records durable holds nobody up who does not wait for
// that: records are handed to the system and survive the process all the same.
func TestSlowDiskDelaysNobody(t *testing.T) {
	dir := t.TempDir()
	waits, release := make(chan struct{}, 1), make(chan struct{})
	j := open(t, dir, journal.SlowDisk(journal.Options{SyncEvery: time.Millisecond}, func() {
		select {
		case waits <- struct{}{}:
		default:
		}
		<-release
	}))
	if err := j.Append([]byte("first")); err != nil {
		t.Fatal(err)
	}
	<-waits // the disk has begun and does not end
	for i := range 5000 {
		if err := j.Append(fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	// Whoever looks meanwhile reads them all, as after the end of the process.
	if n := len(all(t, dir)); n != 5001 {
		t.Errorf("%d records while the disk is slow, want 5001", n)
	}
	if err := j.Err(); err != nil {
		t.Errorf("slow is not broken: %v", err)
	}
	close(release)
	if err := j.Sync(); err != nil {
		t.Error(err)
	}
}

// Who waits for the disk waits as long as it takes, and all who wait share one step.
func TestSlowDiskHoldsThoseWhoWait(t *testing.T) {
	dir := t.TempDir()
	var steps, stored atomic.Int64
	begun, release := make(chan struct{}, 1000), make(chan struct{})
	j := open(t, dir, journal.SlowDisk(journal.Options{SyncEach: true, SyncEvery: time.Hour}, func() {
		steps.Add(1)
		begun <- struct{}{}
		<-release
	}))
	const waiting = 100
	var work sync.WaitGroup
	for i := range waiting {
		work.Go(func() {
			if err := j.Append(fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
			stored.Add(1)
		})
	}
	<-begun
	for len(all(t, dir)) < waiting { // written, all of them
		time.Sleep(time.Millisecond)
	}
	if n := stored.Load(); n != 0 {
		t.Errorf("%d appends returned before the disk did", n)
	}
	close(release)
	work.Wait()
	// The one under way, and one for all that came meanwhile.
	if n := steps.Load(); n > 2 {
		t.Errorf("%d steps for %d appends, want 2", n, waiting)
	}
}

// A disk that fails to make records durable is told of for ever: nobody knows which
// records it has.
func TestDiskThatFailsLater(t *testing.T) {
	var fail atomic.Bool
	j, err := journal.OpenWith(t.TempDir(), journal.FailingDisk(journal.Options{SyncEvery: time.Hour}, func() error {
		if fail.Load() {
			return errors.New("input/output error")
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Append([]byte("a")), j.Sync()); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	if err := j.Append([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := j.Sync(); err == nil {
		t.Fatal("a failure was kept quiet")
	}
	fail.Store(false)
	if j.Append([]byte("c")) == nil || j.Err() == nil {
		t.Error("a later success mends nothing")
	}
	if j.Close() == nil {
		t.Error("closed as if nothing had happened")
	}
}
