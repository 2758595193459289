package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// atRest is the least that a server can do that sends bytes which lie in its
// memory: one thread waits, reads a request, looks for nothing in it and writes
// the same answer as every time. What it reaches against sendfile is what the
// kernel's copy of fresh bytes leaves; nothing that makes its answers can do better.
type atRest struct {
	answer   []byte
	listener int
	poll     int
	left     map[int32]int // bytes of an answer still to be sent
}

// serveRest answers everything with the first rendition that nginx sends.
func serveRest(ctx context.Context, dir string) error {
	body, err := os.ReadFile(filepath.Join(dir, "www", "m", firstFile))
	if err != nil {
		return err
	}
	s := &atRest{left: map[int32]int{}}
	s.answer = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", len(body)), body...)
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if err := errors.Join(unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(s.listener, connections)); err != nil {
		return err
	}
	at, err := unix.Getsockname(s.listener)
	if err != nil {
		return err
	}
	if s.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := s.watch(s.listener, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
		return err
	}
	go s.run() // ends with the process
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(at.(*unix.SockaddrInet4).Port))
	if err := json.NewEncoder(os.Stdout).Encode(said{HTTP: addr.String()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (s *atRest) watch(fd, op int, events uint32) error {
	return unix.EpollCtl(s.poll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (s *atRest) run() {
	runtime.LockOSThread()
	var events [connections]unix.EpollEvent
	in := make([]byte, 4<<10)
	for {
		n, err := unix.EpollWait(s.poll, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, e := range events[:max(0, n)] {
			if int(e.Fd) == s.listener {
				err = s.accept()
			} else if err = s.step(e.Fd, in); err != nil {
				delete(s.left, e.Fd)
				err = unix.Close(int(e.Fd))
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "bytes at rest:", err)
				return
			}
		}
	}
}

func (s *atRest) accept() error {
	fd, _, err := unix.Accept4(s.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 512<<10), s.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN))
}

// step reads a request unless an answer is under way, and sends what fits.
func (s *atRest) step(fd int32, in []byte) error {
	left := s.left[fd]
	if left == 0 {
		n, err := unix.Read(int(fd), in)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil || n == 0 || !bytes.HasSuffix(in[:n], []byte("\r\n\r\n")) {
			return errors.Join(err, io.EOF)
		}
		left = len(s.answer)
	}
	was := s.left[fd]
	n, err := unix.Write(int(fd), s.answer[len(s.answer)-left:])
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	left -= max(0, n)
	s.left[fd] = left
	switch {
	case left > 0 && was == 0:
		return s.watch(int(fd), unix.EPOLL_CTL_MOD, unix.EPOLLOUT)
	case left == 0 && was > 0:
		return s.watch(int(fd), unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
	return nil
}
