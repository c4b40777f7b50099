package cluster

import (
	"sync"
	"testing"
)

func TestStopWaitsForTheCall(t *testing.T) {
	var l Listeners[int]
	in, out := make(chan int), make(chan int)
	stop := l.Add(func(v int) { in <- v; <-out })
	stopOther := l.Add(func(int) { t.Error("called after stop") })
	stopped := false
	var wg sync.WaitGroup
	wg.Go(func() { l.Tell(7) })
	if v := <-in; v != 7 {
		t.Errorf("told %d", v)
	}
	ended := make(chan struct{})
	go func() { stop(); stopped = true; close(ended) }()
	otherEnded := make(chan struct{})
	go func() { stopOther(); close(otherEnded) }()
	for len(l.now()) > 0 { // both are taken off before they wait
		select {
		case <-ended:
			t.Fatal("stop did not wait")
		default:
		}
	}
	close(out)
	<-ended
	<-otherEnded
	wg.Wait()
	if !stopped {
		t.Error("not stopped")
	}
	l.Tell(8)
}
