package canary

import (
	queue "container/list"
	"sync"
)

// Shelf keeps the renderers asked for last in memory. Its zero value is ready to
// use; it is safe for concurrent use.
type Shelf struct {
	Most int64 // bytes kept; 0: 512 MiB. One renderer is always kept.

	mu    sync.Mutex // guards the rest
	byNum map[uint32]*queue.Element
	order *queue.List // of *shelved, the one asked for last in front
	bytes int64
}

// shelved is a renderer, or the loading of it.
type shelved struct {
	num  uint32
	size int64
	get  func() (*Renderer, error) // loads once; others wait
}

const mostShelved = 512 << 20

// Get returns the renderer of the picture with a number. One that is not there is
// loaded, by one caller while others that want it wait; a failed loading is tried
// again the next time.
func (s *Shelf) Get(num uint32, load func() (*Renderer, error)) (*Renderer, error) {
	r, err := s.entry(num, load).get()
	if err != nil {
		s.Forget(num)
		return nil, err
	}
	s.weigh(num, int64(r.Memory()))
	return r, nil
}

// entry finds a picture's entry or makes one that loads it.
func (s *Shelf) entry(num uint32, load func() (*Renderer, error)) *shelved {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byNum[num]; ok {
		s.order.MoveToFront(e)
		return e.Value.(*shelved)
	}
	if s.byNum == nil {
		s.byNum, s.order = map[uint32]*queue.Element{}, queue.New()
	}
	l := &shelved{num: num, get: sync.OnceValues(load)}
	s.byNum[num] = s.order.PushFront(l)
	return l
}

// Forget drops a renderer, so that it is loaded anew.
func (s *Shelf) Forget(num uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byNum[num]; ok {
		s.drop(e)
	}
}

// drop removes an entry; mu is held.
func (s *Shelf) drop(e *queue.Element) {
	l := s.order.Remove(e).(*shelved)
	delete(s.byNum, l.num)
	s.bytes -= l.size
}

// weigh notes the size of a loaded renderer and drops those asked for longest ago.
func (s *Shelf) weigh(num uint32, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byNum[num]
	if !ok || e.Value.(*shelved).size != 0 {
		return
	}
	e.Value.(*shelved).size = size
	s.bytes += size
	most := s.Most
	if most == 0 {
		most = mostShelved
	}
	for s.bytes > most && s.order.Len() > 1 {
		s.drop(s.order.Back())
	}
}
