package proxy

import (
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"glimpse/proxy/jsonpatch"
	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

// maxLocation is the longest URL that a caller may give, in characters.
const maxLocation = 255

// asked is a location as a caller gave it.
type asked struct {
	url      string
	metadata map[string]string
	claim    *claim // nil: none
}

// readAsked reads what a change gives as locations: one, or a list of them.
func readAsked(c jsonpatch.Op) ([]asked, error) {
	items := []any{c.Value}
	if c.Kind == jsonpatch.Replace {
		list, ok := c.Value.([]any)
		if !ok {
			return nil, wrongType("locations", "an array")
		}
		items = list
	}
	all := make([]asked, 0, len(items))
	for _, item := range items {
		a, err := readLocation(item)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func readLocation(v any) (a asked, err error) {
	m, ok := v.(map[string]any)
	if !ok {
		return a, wrongType("locations", "an array of objects")
	}
	if a.url, err = readURL(m["url"]); err != nil {
		return a, err
	}
	meta, ok := m["metadata"].(map[string]any)
	if !ok {
		return a, wrongType("locations", "an array of objects with metadata")
	}
	a.metadata = map[string]string{}
	for k, v := range meta {
		if a.metadata[k], err = text("metadata", v); err != nil {
			return a, err
		}
	}
	if data, ok := m["validation_data"]; ok {
		a.claim, err = readClaim(data, true)
	}
	return a, err
}

// readURL reads a URL; no error repeats it.
func readURL(v any) (string, error) {
	s, err := text("url", v)
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > maxLocation {
		return "", image.Errorf(image.Invalid, "The url is longer than %d characters.", maxLocation)
	}
	return s, nil
}

// position reads the last part of /locations/N or /locations/-. An addition may
// be at or beyond the end; all that is added comes last.
func position(s string, n int, adds bool) (int, bool) {
	if s == "-" {
		return n - 1, true
	}
	i, err := strconv.Atoi(s)
	if errors.Is(err, strconv.ErrRange) && adds {
		return n, true
	}
	return i, err == nil && i >= 0 && s[0] != '+' && (adds || i < n)
}

// live are the locations that callers see, in the order in which they see them.
func live(m image.Image) (all []image.Location) {
	for _, l := range m.Locations {
		if l.Status == "" || l.Status == string(image.Active) {
			all = append(all, l)
		}
	}
	return all
}

// changesLocations says whether a document has to do with locations.
func changesLocations(changes []jsonpatch.Op) bool {
	return slices.ContainsFunc(changes, func(c jsonpatch.Op) bool { return c.Path[0] == "locations" })
}

// edit is a document that is being applied.
type edit struct {
	changes []jsonpatch.Op
	asked   map[int][]asked      // by the index of their change
	wanted  []ops.Place          // what the rehearsal would add
	places  map[string]ops.Place // by URL, as they were found; nil in the rehearsal
	claims  bool                 // hashes were claimed
}

// contact rehearses the document, so that nobody is contacted for one that is
// refused, and then asks the places of new locations for their sizes.
func (r *request) contact(m image.Image, e *edit) error {
	rehearsal := m.Clone()
	if err := r.apply(&rehearsal, e); err != nil {
		return err
	}
	e.places = map[string]ops.Place{}
	for _, p := range e.wanted {
		found, err := r.s.cfg.Ops.Contact(r.ctx, p, m.Owner, r.trusted(m))
		if err != nil {
			return err
		}
		e.places[p.URL.Reveal()] = found
	}
	return nil
}

// trusted callers may name any bytes: operators, and the services beside us.
func (r *request) trusted(m image.Image) bool { return r.admin || r.allows("service_api", m) }

// changeLocations makes one change to the locations.
func (r *request) changeLocations(m *image.Image, c jsonpatch.Op, e *edit, index int) error {
	rule := "set_image_location"
	if c.Kind == jsonpatch.Remove {
		rule = "delete_image_location"
	}
	all := e.asked[index]
	if c.Kind == jsonpatch.Replace && len(all) == 0 {
		return image.Errorf(image.Forbidden, "Cannot set locations to empty list.")
	}
	if err := r.may(rule, *m); err != nil {
		return err
	}
	if !r.s.cfg.ShowMultipleLocations {
		return image.Errorf(image.Forbidden, "It's not allowed to change locations if locations are invisible.")
	}
	if m.Status != image.Active && (m.Status != image.Queued || c.Kind == jsonpatch.Remove) {
		return image.Errorf(image.Conflict, "It's not allowed to change locations if image status is %s.", m.Status)
	}
	if c.Kind == jsonpatch.Remove {
		return removeLocation(m, c.Path[1])
	}
	said, err := claimed(*m, all, r.s.cfg.HashAlgo)
	if err != nil {
		return err
	}
	e.claims = e.claims || said != nil
	if c.Kind == jsonpatch.Replace {
		err = r.replaceLocations(m, all, e)
	} else {
		err = r.addLocation(m, c.Path[1], all[0], e)
	}
	if err != nil || m.Status != image.Queued {
		return err
	}
	said.set(m)
	return m.SetStatus(image.Active)
}

func removeLocation(m *image.Image, at string) error {
	all := live(*m)
	if len(all) == 1 {
		return image.Errorf(image.Forbidden, "Cannot remove last location in the image.")
	}
	i, ok := position(at, len(all), false)
	if !ok || i < 0 {
		return image.Errorf(image.Invalid, "Invalid position for removing a location.")
	}
	m.Locations = slices.DeleteFunc(m.Locations, func(l image.Location) bool { return l.ID == all[i].ID && l.URL == all[i].URL })
	return nil
}

// replaceLocations fills an empty list; of one that is not empty the metadata
// alone may change, and never the store.
func (r *request) replaceLocations(m *image.Image, all []asked, e *edit) error {
	old := live(*m)
	if len(old) == 0 {
		if err := quota("locations", len(all), r.s.cfg.Limits.Locations); err != nil {
			return err
		}
		for _, a := range all {
			if err := r.place(m, a, e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) != len(old) {
		return image.Errorf(image.Invalid, "Original locations is not empty")
	}
	for _, a := range all {
		i := slices.IndexFunc(old, func(l image.Location) bool { return l.URL.Reveal() == a.url })
		if i < 0 {
			return image.Errorf(image.Invalid, "Original locations is not empty")
		}
		if store, ok := old[i].Metadata["store"]; ok {
			a.metadata["store"] = store
		}
		j := slices.IndexFunc(m.Locations, func(l image.Location) bool { return l.ID == old[i].ID && l.URL == old[i].URL })
		m.Locations[j].Metadata = a.metadata
		old = slices.Delete(old, i, i+1)
	}
	return nil
}

func (r *request) addLocation(m *image.Image, at string, a asked, e *edit) error {
	n := len(live(*m))
	if _, ok := position(at, n, true); !ok {
		return image.Errorf(image.Invalid, "Invalid position for adding a location.")
	}
	if err := quota("locations", n+1, r.s.cfg.Limits.Locations); err != nil {
		return err
	}
	return r.place(m, a, e)
}

// place adds a location: as it is asked for in the rehearsal, and as it was found
// afterwards. All copies of an image have one size.
func (r *request) place(m *image.Image, a asked, e *edit) error {
	p, err := r.s.cfg.Ops.Locate(a.url, a.metadata)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(m.Locations, func(l image.Location) bool { return l.URL == p.URL }) {
		return image.Errorf(image.Invalid, "The location already exists")
	}
	if e.places == nil {
		e.wanted = append(e.wanted, p)
	} else {
		found, ok := e.places[a.url]
		if !ok {
			return image.Errorf(image.Conflict, "The image changed meanwhile.")
		}
		p.Size = found.Size
		switch {
		case m.Size == nil || *m.Size == 0:
			m.Size = &p.Size
		case *m.Size != p.Size:
			return image.Errorf(image.Invalid, "Invalid location")
		}
	}
	m.Locations = append(m.Locations, p.Location)
	return nil
}
