package cachestore

import "glimpse/cachestore/chunk"

// aliasesMax bounds the names that are remembered: an alias is needed only by
// the responses that run while their object is renamed.
const aliasesMax = 1024

// aliases leads from an object's old name to its new one, so that responses
// which began under the old name find the bytes. The oldest are forgotten. It
// has no lock: see Store.names.
type aliases struct {
	to    map[chunk.Key]chunk.Key
	order []chunk.Key
	was   map[chunk.Key]chunk.Key // new name to old, while files are still moving
}

func newAliases() *aliases {
	return &aliases{to: map[chunk.Key]chunk.Key{}, was: map[chunk.Key]chunk.Key{}}
}

func (a *aliases) get(k chunk.Key) chunk.Key {
	if to, ok := a.to[k]; ok {
		return to
	}
	return k
}

// onDisk lists the names that files of k may have. While they move, the new name
// is looked up once more at the end, for what moved in between.
func (a *aliases) onDisk(k chunk.Key) []chunk.Key {
	if was, ok := a.was[k]; ok {
		return []chunk.Key{k, was, k}
	}
	return []chunk.Key{k}
}

func (a *aliases) set(from, to chunk.Key) {
	if _, ok := a.to[from]; !ok {
		a.order = append(a.order, from)
	}
	a.to[from] = to
	if len(a.order) > aliasesMax {
		delete(a.to, a.order[0])
		a.order = a.order[1:]
	}
}

func (a *aliases) drop(k chunk.Key) {
	delete(a.to, k)
	for i, o := range a.order {
		if o == k {
			a.order = append(a.order[:i:i], a.order[i+1:]...)
			return
		}
	}
}
