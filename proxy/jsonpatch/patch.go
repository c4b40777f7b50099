package jsonpatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The media types.
const (
	MediaTypeV21 = "application/openstack-images-v2.1-json-patch"
	MediaTypeV20 = "application/openstack-images-v2.0-json-patch"
)

// MaxOps is the most operations of one document.
const MaxOps = 1000

// ErrMediaType says that the document is of neither type.
var ErrMediaType = errors.New("not a patch media type")

// Kind is what an operation does.
type Kind string

// The kinds.
const (
	Add     Kind = "add"
	Replace Kind = "replace"
	Remove  Kind = "remove"
)

// Op is one operation.
type Op struct {
	Kind   Kind
	Path   []string // unescaped; one component, or more under locations
	Value  any      // decoded JSON (numbers as json.Number); nil for Remove
	Legacy bool     // from the v2.0 draft, where add refuses what is there
}

// Parse reads a document. Its errors are for the user.
func Parse(mediaType string, body []byte) ([]Op, error) {
	var read func(map[string]any) (Op, error)
	switch mediaType {
	case MediaTypeV21:
		read = readV21
	case MediaTypeV20:
		read = readV20
	default:
		return nil, ErrMediaType
	}
	doc, err := decode(body)
	if err != nil {
		return nil, err
	}
	list, ok := doc.([]any)
	if !ok {
		return nil, errors.New("Request body must be a JSON array of operation objects.")
	}
	if len(list) > MaxOps {
		return nil, fmt.Errorf("A patch has at most %d operations.", MaxOps)
	}
	ops := make([]Op, 0, len(list))
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, errors.New("Operations must be JSON objects.")
		}
		op, err := read(m)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func readV21(m map[string]any) (Op, error) {
	kind, ok := m["op"].(string)
	if !ok {
		return Op{}, errors.New("Unable to find 'op' in JSON Schema change")
	}
	if err := known(kind); err != nil {
		return Op{}, err
	}
	path, ok := m["path"].(string)
	if !ok {
		return Op{}, errors.New("Unable to find 'path' in JSON Schema change")
	}
	return finish(Op{Kind: Kind(kind)}, path, m)
}

// readV20 reads {"add": "/x", "value": 1}: the operation's name is a key.
func readV20(m map[string]any) (Op, error) {
	var found []string
	for k := range m {
		if k != "value" {
			found = append(found, k)
		}
	}
	slices.Sort(found)
	if len(found) != 1 {
		return Op{}, errors.New("Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".")
	}
	if err := known(found[0]); err != nil {
		return Op{}, err
	}
	path, ok := m[found[0]].(string)
	if !ok {
		return Op{}, errors.New("The path of an operation must be a string.")
	}
	return finish(Op{Kind: Kind(found[0]), Legacy: true}, path, m)
}

func known(kind string) error {
	switch Kind(kind) {
	case Add, Replace, Remove:
		return nil
	}
	return fmt.Errorf("Operation %.40q is not supported: use add, replace or remove.", kind)
}

func finish(op Op, path string, m map[string]any) (Op, error) {
	var err error
	if op.Path, err = pointer(path); err != nil {
		return Op{}, err
	}
	if want := depth(op); len(op.Path) != want {
		return Op{}, fmt.Errorf("Invalid JSON pointer for this resource: `%.255s`", path)
	}
	if op.Kind == Remove {
		return op, nil
	}
	v, ok := m["value"]
	if !ok {
		return Op{}, fmt.Errorf("Operation \"%s\" requires a member named \"value\".", op.Kind)
	}
	op.Value = v
	return op, nil
}

// depth is how many components the path of an operation has: locations are added
// and removed one by one, and replaced as a whole.
func depth(op Op) int {
	if op.Path[0] == "locations" && op.Kind != Replace {
		return 2
	}
	return 1
}

// pointer reads a JSON pointer.
func pointer(p string) ([]string, error) {
	bad := func(why string) ([]string, error) {
		return nil, fmt.Errorf("Pointer `%.255s` %s", p, why)
	}
	if !strings.HasPrefix(p, "/") {
		return bad("does not start with \"/\".")
	}
	parts := strings.Split(p[1:], "/")
	for i, part := range parts {
		if part == "" {
			return bad("contains an empty component, \"//\" or a \"/\" at its end.")
		}
		un, ok := unescape(part)
		if !ok {
			return bad("contains \"~\" not part of a recognized escape sequence.")
		}
		parts[i] = un
	}
	return parts, nil
}

// unescape reads ~1 as / and ~0 as ~.
func unescape(s string) (string, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return "", false
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~"), true
}
