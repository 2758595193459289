//go:build !linux

package beacon

import (
	"context"
	"net"
	"time"
)

// listenUDP opens one socket: spreading queries over several needs Linux.
func listenUDP(_ context.Context, at *net.UDPAddr, _ int) ([]*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, err
	}
	_ = c.SetReadBuffer(receiveBuffer) // a system that grants less still works
	return []*net.UDPConn{c}, nil
}

// serve answers what a socket hears, one datagram at a time, until it is closed.
func (w *udpWorker) serve(conn *net.UDPConn) error {
	query, reply := make([]byte, 4096), make([]byte, 0, udpSize)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(query)
		if err != nil {
			return err
		}
		out, outcome, hit := w.datagram(reply, query[:n], from, time.Now())
		if w.flush() != nil && hit {
			out, outcome = nil, Lost
		}
		w.counts[outcome]++
		w.count(1)
		if len(out) == 0 {
			continue
		}
		if _, err := conn.WriteToUDPAddrPort(out, from); err != nil {
			w.d.stats.DNS.unsent.Add(1)
		}
	}
}

// socketDrops is not told by this system.
func socketDrops(*net.UDPConn) uint64 { return 0 }
