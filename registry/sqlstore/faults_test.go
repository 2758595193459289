package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"birdring/internal/testkit"
	"birdring/registry/sqlstore"
)

// acknowledged compares what callers were told with what is stored: nothing that
// was acknowledged is missing, nothing that was refused is there.
func acknowledged(t *testing.T, d *sqlstore.DB, told *sync.Map) {
	t.Helper()
	got := keys(t, d)
	acknowledged, refused := 0, 0
	told.Range(func(key, err any) bool {
		switch {
		case err == nil:
			acknowledged++
			if !got[key.(string)] {
				t.Errorf("%v was acknowledged and is lost", key)
			}
		case errors.Is(err.(error), sqlstore.ErrUnknown):
		default:
			refused++
			if got[key.(string)] {
				t.Errorf("%v was refused (%v) and is stored", key, err)
			}
		}
		return true
	})
	t.Logf("%d acknowledged, %d refused", acknowledged, refused)
}

// writeUntil writes keys from several goroutines until done.
func writeUntil(ctx context.Context, d *sqlstore.DB, told *sync.Map, name string) *sync.WaitGroup {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprint(name, "-", w, "-", i)
				if err := d.Group(context.Background(), put(key)); err != nil {
					told.Store(key, err)
				} else {
					told.Store(key, nil)
				}
			}
		})
	}
	return &wg
}

// The server is stopped and killed under load and comes back: callers wait and
// are stored once (a key stored twice would break a constraint), or hear why not.
func TestPostgresRestarted(t *testing.T) {
	p := testkit.StartPostgres(t)
	url, err := p.Database()
	if err != nil {
		t.Fatal(err)
	}
	d, err := sqlstore.Create(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var told sync.Map
	wg := writeUntil(ctx, d, &told, "w")
	for _, end := range []func() error{p.Stop, p.Kill, p.Kill} {
		time.Sleep(100 * time.Millisecond) // another process is to be in the middle of something
		if err := end(); err != nil {
			t.Error(err)
		}
		if err := p.Start(); err != nil {
			t.Error(err)
		}
		// A reader's next query goes to a new connection.
		if err := d.Read().QueryRow(`SELECT 1`).Scan(new(int)); err != nil {
			t.Errorf("read after a restart: %v", err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	cancel()
	wg.Wait()
	told.Range(func(key, err any) bool {
		if err != nil {
			t.Errorf("%v: %v, although the server was back in time", key, err)
		}
		return true
	})
	acknowledged(t, d, &told)
	// Away for good: a clear error, soon.
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	d.Wait(300 * time.Millisecond)
	if err := d.Group(t.Context(), put("late")); !errors.Is(err, sqlstore.ErrAway) {
		t.Errorf("without a server: %v", err)
	}
	if _, last := d.LastFailure(); !errors.Is(last, sqlstore.ErrAway) {
		t.Errorf("last failure: %v", last)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	d.Wait(10 * time.Second)
	if err := d.Group(t.Context(), put("late")); err != nil {
		t.Error(err)
	}
}

// A COMMIT whose answer was lost is looked up: committed, it is not done again.
func TestPostgresCommitUnanswered(t *testing.T) {
	url := testkit.Postgres(t)
	wire := newWire(t, url)
	d, err := sqlstore.Create(t.Context(), wire.url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, committed := range []bool{true, false} {
		runs := 0
		err := d.Write(t.Context(), func(tx *sql.Tx) error {
			runs++
			if err := put(fmt.Sprint("k", committed))(tx); err != nil {
				return err
			}
			if runs == 1 {
				wire.cut(committed)
			}
			return nil
		})
		if want := map[bool]int{true: 1, false: 2}[committed]; err != nil || runs != want {
			t.Errorf("committed %v: %d runs, %v", committed, runs, err)
		}
		if !keys(t, d)[fmt.Sprint("k", committed)] {
			t.Error("lost")
		}
	}
}

// wire stands between us and a server, to be cut.
type wire struct {
	url  string
	what atomic.Int32 // cutBefore, cutAfter
}

const (
	cutBefore = 1 // the next COMMIT does not reach the server
	cutAfter  = 2 // its answer does not reach us
)

func (w *wire) cut(committed bool) {
	if committed {
		w.what.Store(cutAfter)
	} else {
		w.what.Store(cutBefore)
	}
}

func newWire(t *testing.T, of string) *wire {
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	const name = ".s.PGSQL.5432"
	server := filepath.Join(u.Query().Get("host"), name)
	dir, err := os.MkdirTemp("/tmp", "birdring-wire-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ln.Close()
		os.RemoveAll(dir)
	})
	w := &wire{}
	u.RawQuery = "host=" + url.QueryEscape(dir)
	w.url = u.String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go w.carry(c, server)
		}
	}()
	return w
}

// carry joins a connection to the server until it ends or is cut.
func (w *wire) carry(c net.Conn, server string) {
	defer c.Close()
	s, err := net.Dial("unix", server)
	if err != nil {
		return
	}
	defer s.Close()
	silent := atomic.Bool{}
	answered := make(chan bool, 1)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := s.Read(buf)
			if silent.Load() {
				answered <- true
				return
			}
			if err != nil {
				c.Close()
				return
			}
			c.Write(buf[:n])
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			switch w.what.Swap(0) {
			case cutBefore:
				return
			case cutAfter:
				silent.Store(true)
				s.Write(buf[:n])
				<-answered
				return
			}
		}
		s.Write(buf[:n])
	}
}

// Serialization failures and deadlocks are run again until they pass; a lock that
// stays is an error that says so.
func TestPostgresRunsAgain(t *testing.T) {
	d, _ := createPostgres(t)
	for _, state := range []string{"40001", "40P01"} {
		runs := 0
		err := d.Write(t.Context(), func(tx *sql.Tx) error {
			if runs++; runs < 3 {
				_, err := tx.Exec(`DO $$ BEGIN RAISE EXCEPTION 'met another' USING ERRCODE = '` + state + `'; END $$`)
				return err
			}
			return put("k" + state)(tx)
		})
		if err != nil || runs != 3 {
			t.Errorf("%s: %d runs, %v", state, runs, err)
		}
	}
	// In a shared transaction everybody's job runs again, and only once counts.
	var wg sync.WaitGroup
	var failed atomic.Bool
	for i := range 40 {
		wg.Go(func() {
			if err := d.Group(t.Context(), func(tx *sql.Tx) error {
				if i == 20 && !failed.Swap(true) {
					_, err := tx.Exec(`DO $$ BEGIN RAISE EXCEPTION 'met another' USING ERRCODE = '40001'; END $$`)
					return err
				}
				return put(fmt.Sprint("job", i))(tx)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(keys(t, d)); n != 42 {
		t.Errorf("%d keys", n)
	}
}

// Two processes write at once; a number read and raised by both is never lost.
func TestTwoWriters(t *testing.T) {
	onBoth(t, func(t *testing.T, d *sqlstore.DB, target string) {
		other, err := sqlstore.Open(t.Context(), target, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		const each = 100
		var wg sync.WaitGroup
		for _, db := range []*sqlstore.DB{d, other} {
			for range 2 {
				wg.Go(func() {
					for range each {
						err := db.Write(t.Context(), func(tx *sql.Tx) error {
							var n int64
							if err := tx.QueryRow(`SELECT n FROM counters WHERE name = 'traces'`).Scan(&n); err != nil {
								return err
							}
							_, err := tx.Exec(`UPDATE counters SET n = ? WHERE name = 'traces'`, n+1)
							return err
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		if n := number(t, d, `SELECT n FROM counters WHERE name = 'traces'`); n != 4*each {
			t.Errorf("counted %d of %d", n, 4*each)
		}
	})
}

// A disk that is full: what is refused is not there, and with room it goes on.
func TestPostgresDiskFull(t *testing.T) {
	p := testkit.StartPostgres(t, "wal_level=minimal", "max_wal_senders=0", "max_wal_size=64MB")
	dir := smallDisk(t, 24<<20)
	if err := p.Own(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if err := p.Exec("postgres", "CREATE TABLESPACE small LOCATION '"+filepath.Join(dir, "data")+"'"); err != nil {
		t.Fatal(err)
	}
	if err := p.Exec("postgres", "CREATE DATABASE small TABLESPACE small"); err != nil {
		t.Fatal(err)
	}
	d, err := sqlstore.Create(t.Context(), p.URL("small"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var told sync.Map
	var full error
	for i := 0; i < 1000 && full == nil; i++ {
		key := fmt.Sprint(i, strings.Repeat(" random enough", 5))
		err := d.Group(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO meta (key, value) SELECT ?, string_agg(md5(CAST(g AS text) || CAST(? AS text)), '') FROM generate_series(1, 10000) AS g`, key, key)
			return err
		})
		told.Store(key, err)
		full = err
	}
	if !errors.Is(full, sqlstore.ErrFull) {
		t.Fatalf("the disk was never full: %v", full)
	}
	acknowledged(t, d, &told)
	if _, last := d.LastFailure(); !errors.Is(last, sqlstore.ErrFull) {
		t.Errorf("last failure: %v", last)
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	if err := d.Group(t.Context(), put("with room")); err != nil {
		t.Error(err)
	}
}

// smallDisk is a file system of so many bytes, a part of it taken by the file
// "filler". Only root can make one.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "birdring-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	err = syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		testkit.Lack(t, "a small file system cannot be mounted")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A file or server that may only be read says so; readers go on.
func TestReadOnly(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		d, path := create(t)
		if err := d.Write(t.Context(), put("before")); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			// The superuser may write everything; the file system may not be written.
			dir := t.TempDir()
			if err := syscall.Mount(filepath.Dir(path), dir, "", syscall.MS_BIND, ""); err != nil {
				testkit.Lack(t, fmt.Sprintf("a read-only file system cannot be mounted (%v)", err))
			}
			t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
			if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
				testkit.Lack(t, fmt.Sprintf("a read-only file system cannot be mounted (%v)", err))
			}
			path = filepath.Join(dir, filepath.Base(path))
		} else if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		again, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
		if err == nil {
			err = again.Write(t.Context(), put("after"))
			again.Close()
		}
		if !errors.Is(err, sqlstore.ErrReadOnly) && !errors.Is(err, sqlstore.ErrIO) {
			t.Errorf("a file that may not be written: %v", err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		d, url := createPostgres(t)
		standby, err := sqlstore.Open(t.Context(), url+"&default_transaction_read_only=on", sqlstore.Options{})
		if err == nil {
			err = standby.Write(t.Context(), put("after"))
			standby.Close()
		}
		if !errors.Is(err, sqlstore.ErrReadOnly) {
			t.Errorf("a server that may not be written: %v", err)
		}
		if keys(t, d)["after"] {
			t.Error("stored")
		}
	})
}

// A damaged page is found and named.
func TestDamagedPage(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		d, path := create(t)
		fill(t, d, 20000)
		page := number(t, d, `SELECT rootpage FROM sqlite_schema WHERE name = 'exposures'`)
		if err := d.Write(t.Context(), func(tx *sql.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil { // which empties the WAL into the file
			t.Fatal(err)
		}
		damage(t, path, (page-1)*4096)
		complains(t, path, fmt.Sprint("page ", page))
	})
	t.Run("postgres", func(t *testing.T) {
		p := testkit.StartPostgres(t)
		url, err := p.Database()
		if err != nil {
			t.Fatal(err)
		}
		d, err := sqlstore.Create(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, d, 5000)
		var file string
		if err := d.Read().QueryRow(`SELECT pg_relation_filepath('exposures')`).Scan(&file); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Close(), p.Stop()); err != nil {
			t.Fatal(err)
		}
		damage(t, filepath.Join(p.Dir(), "data", file), 3*8192)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		complains(t, url, "block 3 of relation "+file)
	})
}

// damage turns over bits of a file.
func damage(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 512)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x5a
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func complains(t *testing.T, target, name string) {
	t.Helper()
	var bad []string
	if err := sqlstore.Check(t.Context(), target, func(f sqlstore.Finding) {
		if !f.OK {
			bad = append(bad, f.Detail)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(bad) == 0 || !strings.Contains(strings.Join(bad, "\n"), name) {
		t.Errorf("the damage of %s is not named: %q", name, bad)
	}
}
