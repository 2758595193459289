// Package postgres runs a PostgreSQL of its own, for tests and measurements: a
// cluster made from the machine's binaries in a temporary folder, reached through
// a socket in it, so that no port is taken. It ends with the process that started
// it, however that ends.
package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a running PostgreSQL.
type Server struct {
	dir, bin string
	settings []string
	as       *syscall.SysProcAttr
	uid      int // of that user, -1: ours
	cmd      *exec.Cmd
	leash    io.WriteCloser // closed, the server stops
	n        atomic.Int64
}

// ErrNone says that there is no PostgreSQL on this machine.
var ErrNone = errors.New("PostgreSQL is not installed")

// Start makes a cluster and starts it, with settings such as "fsync=off".
func Start(settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	return launch(bin, settings...)
}

// binaries is the folder of the newest server installed.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return serverVersion(a) - serverVersion(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNone
	}
	return filepath.Dir(path), nil
}

func serverVersion(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// launch makes a cluster and starts it.
func launch(bin string, settings ...string) (*Server, error) {
	as, uid, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "birdring-pg-") // a socket's path is short
	if err != nil {
		return nil, err
	}
	p := &Server{dir: dir, bin: bin, settings: settings, as: as, uid: uid}
	if uid >= 0 {
		err = os.Chown(dir, uid, -1)
	}
	if err == nil {
		err = p.run("initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--data-checksums")
	}
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// unprivileged is another user to run as where we are root, whom PostgreSQL refuses.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, -1, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, 0, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, 0, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, err
}

func (p *Server) data() string { return filepath.Join(p.dir, "data") }

func (p *Server) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// keep runs a server until its standard input says so or ends, which it does with
// us, however we end. Unless it is told to keep it, it then removes the folder $0.
// The shell gives commands it does not wait for no input, so ours is kept as 3.
const keep = `exec 3<&0; "$@" 3<&- & pid=$!; word=; read word <&3; kill -INT $pid 2>/dev/null; wait $pid; [ "$word" = keep ] || rm -rf "$0"`

// Start starts the server and waits until it answers.
func (p *Server) Start() error {
	args := []string{
		"-c", keep, p.dir, filepath.Join(p.bin, "postgres"), "-D", p.data(), "-k", p.dir,
		"-c", "listen_addresses=", "-c", "max_connections=100", "-c", "shared_buffers=64MB", "-c", "logging_collector=off",
	}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	p.cmd = exec.Command("/bin/sh", args...)
	p.cmd.Dir, p.cmd.SysProcAttr = p.dir, p.as
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.leash, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	return p.answers(30 * time.Second)
}

func (p *Server) answers(within time.Duration) error {
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // another process
		if err = p.Exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
	}
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, bytes.TrimSpace(text))
}

// Stop shuts the server down at once, rolling back what is under way. Its files stay.
func (p *Server) Stop() error {
	if p.cmd == nil {
		return nil
	}
	_, err := io.WriteString(p.leash, "keep\n")
	err = errors.Join(err, p.leash.Close())
	p.cmd.Wait() // its exit code is that of a stopped server
	p.cmd = nil
	return err
}

// Kill ends the server as a crash would: nothing under way is finished.
func (p *Server) Kill() error {
	n, err := p.pid()
	if err != nil {
		return err
	}
	return errors.Join(syscall.Kill(n, syscall.SIGQUIT), p.Stop())
}

// pid is that of the server's first process.
func (p *Server) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// URL is that of a database.
func (p *Server) URL(database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(p.dir)
}

// Database makes an empty database and returns its URL.
func (p *Server) Database() (string, error) {
	name := fmt.Sprintf("test%d", p.n.Add(1))
	return p.URL(name), p.Exec("postgres", "CREATE DATABASE "+name)
}

// Copy makes a database with the contents of another one, to which nobody is
// connected, and returns its URL.
func (p *Server) Copy(of string) (string, error) {
	u, err := url.Parse(of)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("test%d", p.n.Add(1))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := p.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+strings.TrimPrefix(u.Path, "/")+" STRATEGY file_copy")
		if err == nil || time.Now().After(end) || !strings.Contains(err.Error(), "55006") { // a session that was closed is still leaving
			return p.URL(name), err
		}
	}
}

// Own gives a file to the user the server runs as.
func (p *Server) Own(path string) error { return os.Chown(path, p.uid, -1) }

// Dir is where the server's files are.
func (p *Server) Dir() string { return p.dir }

// Exec runs one statement in a database.
func (p *Server) Exec(database, statement string) error {
	db, err := sql.Open("pgx", p.URL(database))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), statement)
	return errors.Join(err, db.Close())
}

// Close stops the server and removes its folder.
func (p *Server) Close() error {
	return errors.Join(p.Stop(), os.RemoveAll(p.dir))
}
