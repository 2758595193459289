package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// burst is how many datagrams one system call moves.
const burst = 64

// queries are questions that differ in 28 letters and the type: 60 % A, 20 %
// AAAA, 10 % TXT, 10 % MX, with EDNS as resolvers send it.
type queries struct {
	message []byte // the question for the first label
	labels  []string
	next    int
}

const labelAt = 12 + 1 // of a question for LABEL.zone

func newQueries(labels []string) (*queries, error) {
	m, err := new(dns.Msg).SetQuestion(labels[0]+"."+benchZone+".", dns.TypeA).SetEdns0(1232, false).Pack()
	return &queries{message: m, labels: labels}, err
}

// fill writes the next question with an id.
func (q *queries) fill(dst []byte, id uint16) int {
	n := copy(dst, q.message)
	binary.BigEndian.PutUint16(dst, id)
	copy(dst[labelAt:], q.labels[q.next%len(q.labels)])
	qtype := [10]uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeA, dns.TypeTXT, dns.TypeA,
		dns.TypeA, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeA,
	}[q.next%10]
	binary.BigEndian.PutUint16(dst[labelAt+28+len(benchZone)+2:], qtype)
	q.next++
	return n
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// wire is a connected UDP socket with buffers for bursts. It never waits.
type wire struct {
	fd      int
	out, in [burst]mmsghdr
	vecs    [2 * burst]unix.Iovec
	bufs    [2 * burst][1500]byte
}

func dialWire(addr string) (*wire, error) {
	at, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	w := &wire{fd: fd}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20) // smaller: more is lost, and counted
	for i := range 2 * burst {
		w.vecs[i].Base = &w.bufs[i][0]
		w.vecs[i].SetLen(len(w.bufs[i]))
		h := &w.out
		if i >= burst {
			h = &w.in
		}
		h[i%burst].hdr.Iov = &w.vecs[i]
		h[i%burst].hdr.SetIovlen(1)
	}
	return w, nil
}

func (w *wire) close() error { return unix.Close(w.fd) }

// send sends the first n of w.bufs, whose lengths are set in w.vecs, and returns how many went.
func (w *wire) send(n int) (int, error) {
	k, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.out)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	return result(k, errno)
}

// receive fills w.bufs from burst on and returns how many came.
func (w *wire) receive() (int, error) {
	k, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.in)), burst, unix.MSG_DONTWAIT, 0, 0)
	return result(k, errno)
}

func result(k uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(k), nil
	case unix.EAGAIN, unix.EINTR, unix.ECONNREFUSED, unix.ENOBUFS:
		return 0, nil
	}
	return 0, errno
}

// answered is what a run of load saw.
type answered struct {
	perSecond float64
	sent, got int
	p50, p99  time.Duration // open loop only
}

// closedLoop keeps 200 questions under way for a time. A question without an
// answer after 50 ms of silence is given up. each sees every answer; nil: nobody does.
func closedLoop(addr string, q *queries, d time.Duration, each func(m []byte)) (answered, error) {
	w, err := dialWire(addr)
	if err != nil {
		return answered{}, err
	}
	defer w.close()
	const window = 200
	var a answered
	free, id := window, uint16(0)
	begin := time.Now()
	last := begin
	for now := begin; now.Sub(begin) < d; now = time.Now() {
		if n := min(free, burst); n >= burst/4 || free == window {
			for i := range n {
				w.vecs[i].SetLen(q.fill(w.bufs[i][:], id))
				id++
			}
			k, err := w.send(n)
			if err != nil {
				return a, err
			}
			q.next -= n - k
			free -= k
			a.sent += k
		}
		k, err := w.receive()
		if err != nil {
			return a, err
		}
		if each != nil {
			for i := range k {
				each(w.bufs[burst+i][:w.in[i].len])
			}
		}
		a.got += k
		free = min(window, free+k)
		if k > 0 {
			last = now
		} else if now.Sub(last) > 50*time.Millisecond {
			free, last = window, now
		}
	}
	a.perSecond = float64(a.got) / time.Since(begin).Seconds()
	return a, nil
}

// openLoop sends at a rate whatever comes back, and measures from the moment a
// question was due.
func openLoop(addr string, q *queries, rate float64, d time.Duration) (answered, error) {
	w, err := dialWire(addr)
	if err != nil {
		return answered{}, err
	}
	defer w.close()
	var a answered
	due := make([]time.Duration, 1<<16)
	var took []time.Duration
	begin := time.Now()
	for {
		now := time.Since(begin)
		if now > d+200*time.Millisecond {
			break
		}
		if now < d {
			n := 0
			for n < burst && a.sent+n < int(rate*now.Seconds()) {
				id := uint16(a.sent + n)
				w.vecs[n].SetLen(q.fill(w.bufs[n][:], id))
				due[id] = time.Duration(float64(a.sent+n) / rate * float64(time.Second))
				n++
			}
			if n > 0 {
				k, err := w.send(n)
				if err != nil {
					return a, err
				}
				q.next -= n - k
				a.sent += k
			}
		}
		k, err := w.receive()
		if err != nil {
			return a, err
		}
		now = time.Since(begin)
		for i := range k {
			took = append(took, now-due[binary.BigEndian.Uint16(w.bufs[burst+i][:])])
		}
		a.got += k
	}
	if a.got == 0 {
		return a, fmt.Errorf("%s answered nothing", addr)
	}
	slices.Sort(took)
	a.p50, a.p99 = took[len(took)/2], took[len(took)*99/100]
	a.perSecond = float64(a.got) / d.Seconds()
	return a, nil
}
