package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	connections = 64
	benchAgent  = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)

func request(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: media.example\r\nUser-Agent: " + benchAgent +
		"\r\nAccept: image/*\r\nReferer: https://clone.example/profile/somebody\r\n\r\n")
}

// httpLoad keeps a request under way on each of 64 connections for a time, from
// one thread, and returns requests and bytes per second.
func httpLoad(addr string, requests [][]byte, d time.Duration) (perSecond, bytesPerSecond float64, err error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(poll)
	at, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return 0, 0, err
	}
	type state struct{ left int } // bytes of the answer still to come
	states := map[int32]*state{}
	next := 0
	send := func(fd int) error {
		r := requests[next%len(requests)]
		next++
		n, err := unix.Write(fd, r)
		if err == nil && n < len(r) {
			err = io.ErrShortWrite
		}
		return err
	}
	for range connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, 0, err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}); err != nil {
			return 0, 0, err
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without; both alike
		if err := errors.Join(unix.SetNonblock(fd, true), unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}), send(fd)); err != nil {
			return 0, 0, err
		}
		states[int32(fd)] = &state{}
	}
	buf := make([]byte, 256<<10)
	var events [connections]unix.EpollEvent
	var answers, received int
	begin := time.Now()
	for time.Since(begin) < d {
		n, err := unix.EpollWait(poll, events[:], 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, 0, err
		}
		for _, e := range events[:max(0, n)] {
			k, err := unix.Read(int(e.Fd), buf)
			if errors.Is(err, unix.EAGAIN) {
				continue
			}
			if err != nil || k == 0 {
				return 0, 0, fmt.Errorf("%s hung up: %w", addr, errors.Join(err, io.ErrUnexpectedEOF))
			}
			s := states[e.Fd]
			received += k
			if s.left == 0 {
				if s.left, err = length(buf[:k]); err != nil {
					return 0, 0, fmt.Errorf("%s: %w", addr, err)
				}
			}
			if s.left -= k; s.left == 0 {
				answers++
				if err := send(int(e.Fd)); err != nil {
					return 0, 0, err
				}
			}
		}
	}
	took := time.Since(begin).Seconds()
	return float64(answers) / took, float64(received) / took, nil
}

// length is that of a whole answer whose header lies in b.
func length(b []byte) (int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answer %.60q", b)
	}
	const field = "\r\nContent-Length: "
	i := bytes.Index(b[:end], []byte(field))
	if i < 0 {
		return 0, errors.New("answer without a length")
	}
	text, _, _ := bytes.Cut(b[i+len(field):end+2], []byte("\r\n"))
	n, err := strconv.Atoi(string(text))
	return end + 4 + n, err
}

// secureLoad is httpLoad with TLS, by goroutines; the same for both servers.
func secureLoad(addr string, requests [][]byte, d time.Duration) (float64, error) {
	var answers atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	begin := time.Now()
	for i := range 16 {
		wg.Go(func() {
			errs <- func() error {
				c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				if err != nil {
					return err
				}
				defer c.Close()
				buf := make([]byte, 64<<10)
				for k := i; time.Since(begin) < d; k++ {
					if _, err := c.Write(requests[k%len(requests)]); err != nil {
						return err
					}
					for left := 0; ; {
						n, err := c.Read(buf)
						if err != nil {
							return err
						}
						if left == 0 {
							if left, err = length(buf[:n]); err != nil {
								return err
							}
						}
						if left -= n; left == 0 {
							break
						}
					}
					answers.Add(1)
				}
				return nil
			}()
		})
	}
	wg.Wait()
	close(errs)
	var err error
	for e := range errs {
		err = errors.Join(err, e)
	}
	return float64(answers.Load()) / time.Since(begin).Seconds(), err
}
