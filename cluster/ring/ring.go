package ring

// Ring is a list of nodes. It never changes.
type Ring struct {
	nodes []Node
	prev  *Ring
}
