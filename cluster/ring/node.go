package ring

// State is what a node is ready for.
type State uint8

// A node is warming until the extents that it now owns have arrived; a draining
// one owns nothing more and hands over what it has.
const (
	Warming State = iota
	Ready
	Draining
)

func (s State) String() string { return [...]string{"warming", "ready", "draining"}[s] }

// Role is what a node takes part in.
type Role uint8

// A client owns nothing and never reads an origin.
const (
	Member Role = iota
	Client
)

func (r Role) String() string { return [...]string{"member", "client"}[r] }

// Node is a node as others see it.
type Node struct {
	ID     string // stable: made once and kept in the node's data folder, a UUID
	Name   string // for people
	Zone   string
	Weight int64  // cache capacity, bytes
	Peer   string // host:port of its peer listener
	API    string // host:port of its Image API; "": not told
	Epoch  uint32 // counts its starts: of two descriptions the later one is true
	State  State
	Role   Role
	Edge   bool // its zone never reads an origin for others
}

// owns says whether extents are shared out to the node.
func (n Node) owns() bool { return n.Role == Member && n.State != Draining }
