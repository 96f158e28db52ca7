package access

import (
	"container/list"
	"net/netip"
)

// turns is a queue in which addresses take turns, and within an address its
// clients: who asks for much waits behind itself. The zero value is empty. Not
// safe for concurrent use.
type turns[T any] struct {
	length    int
	addresses list.List // of *addressTurns; whose turn it is stands in front
	byAddress map[netip.Prefix]*addressTurns
}

type addressTurns struct {
	address  netip.Prefix
	length   int
	element  *list.Element
	clients  list.List // of *clientTurns; whose turn it is stands in front
	byClient map[string]*clientTurns
}

type clientTurns struct {
	client  string
	of      *addressTurns
	element *list.Element
	waiting list.List // of *turn[T], first come first
}

// turn is one place in the queue.
type turn[T any] struct {
	value   T
	of      *clientTurns
	element *list.Element
}

// push puts a value behind the others of its client.
func (t *turns[T]) push(address netip.Prefix, client string, value T) *turn[T] {
	a := t.byAddress[address]
	if a == nil {
		a = &addressTurns{address: address, byClient: map[string]*clientTurns{}}
		a.element = t.addresses.PushBack(a)
		if t.byAddress == nil {
			t.byAddress = map[netip.Prefix]*addressTurns{}
		}
		t.byAddress[address] = a
	}
	c := a.byClient[client]
	if c == nil {
		c = &clientTurns{client: client, of: a}
		c.element = a.clients.PushBack(c)
		a.byClient[client] = c
	}
	one := &turn[T]{value: value, of: c}
	one.element = c.waiting.PushBack(one)
	a.length++
	t.length++
	return one
}

// pop takes out the value whose turn it is. The queue must not be empty.
func (t *turns[T]) pop() T {
	a := t.addresses.Front().Value.(*addressTurns)
	c := a.clients.Front().Value.(*clientTurns)
	one := c.waiting.Front().Value.(*turn[T])
	t.addresses.MoveToBack(a.element)
	a.clients.MoveToBack(c.element)
	t.remove(one)
	return one.value
}

// remove takes a place out of the queue. It must be there.
func (t *turns[T]) remove(one *turn[T]) {
	c := one.of
	a := c.of
	c.waiting.Remove(one.element)
	a.length--
	t.length--
	if c.waiting.Len() == 0 {
		a.clients.Remove(c.element)
		delete(a.byClient, c.client)
	}
	if a.length == 0 {
		t.addresses.Remove(a.element)
		delete(t.byAddress, a.address)
	}
}

// makesRoom finds the place that has to go so that one more value of the client
// can wait: the last one of the longest client of the longest address. It is nil
// if the client itself is where it is longest.
func (t *turns[T]) makesRoom(address netip.Prefix, client string) *turn[T] {
	var longest *addressTurns
	for e := t.addresses.Front(); e != nil; e = e.Next() {
		if a := e.Value.(*addressTurns); longest == nil || a.length > longest.length {
			longest = a
		}
	}
	own := t.byAddress[address]
	if longest == nil || own != nil && own != longest && own.length+1 >= longest.length {
		return nil
	}
	var most *clientTurns
	for e := longest.clients.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*clientTurns); most == nil || c.waiting.Len() > most.waiting.Len() {
			most = c
		}
	}
	if own == longest {
		if c := own.byClient[client]; c != nil && c.waiting.Len()+1 >= most.waiting.Len() || most.waiting.Len() < 2 {
			return nil
		}
	}
	return most.waiting.Back().Value.(*turn[T])
}
