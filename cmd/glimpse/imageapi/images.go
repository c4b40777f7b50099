package imageapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
)

// Image is what a client needs of a record.
type Image struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Status    string  `json:"status"`
	Size      *int64  `json:"size"`
	Checksum  *string `json:"checksum"` // md5
	HashAlgo  *string `json:"os_hash_algo"`
	HashValue *string `json:"os_hash_value"`
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Show returns an image's record.
func (s *Session) Show(ctx context.Context, id string) (m Image, err error) {
	return m, s.answer(ctx, request{method: "GET", base: s.Endpoint, path: imagePath(id)}, http.StatusOK, &m)
}

func imagePath(id string) string { return "/v2/images/" + url.PathEscape(id) }

// Find returns the image with an id, or else the one with this name.
func (s *Session) Find(ctx context.Context, what string) (Image, error) {
	if uuidPattern.MatchString(what) {
		m, err := s.Show(ctx, what)
		if CodeOf(err) != NotFound {
			return m, err
		}
	}
	var list struct{ Images []Image }
	q := url.Values{"name": {what}, "limit": {"2"}}
	if err := s.answer(ctx, request{method: "GET", base: s.Endpoint, path: "/v2/images?" + q.Encode()}, http.StatusOK, &list); err != nil {
		return Image{}, err
	}
	switch len(list.Images) {
	case 0:
		return Image{}, Errorf(NotFound, "there is no image %q", what)
	case 1:
		return list.Images[0], nil
	}
	return Image{}, Errorf(Usage, "there are several images named %q: say which by its id", what)
}

// Create makes an image of these attributes, without data.
func (s *Session) Create(ctx context.Context, attributes map[string]any) (m Image, err error) {
	b, err := json.Marshal(attributes)
	if err != nil {
		return m, err
	}
	return m, s.answer(ctx, request{
		method: "POST", base: s.Endpoint, path: "/v2/images", json: b, header: http.Header{"Content-Type": {"application/json"}},
	}, http.StatusCreated, &m)
}

// Delete removes an image.
func (s *Session) Delete(ctx context.Context, id string) error {
	return s.answer(ctx, request{method: "DELETE", base: s.Endpoint, path: imagePath(id)}, http.StatusNoContent, nil)
}

// Upload gives an image its bytes, through the node at base. begin begins them, and
// does so anew where the token has run out; until then what it gave may still be
// read. size is -1 where it is not known. store is where they go; "": the default
// store.
func (s *Session) Upload(ctx context.Context, base, id, store string, begin func() (io.Reader, error), size int64) error {
	h := http.Header{"Content-Type": {"application/octet-stream"}, "Expect": {"100-continue"}}
	if store != "" {
		h["X-Image-Meta-Store"] = []string{store}
	}
	resp, err := s.do(ctx, request{method: "PUT", base: base, path: imagePath(id) + "/file", header: h, upload: begin, size: size})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent {
		return refused(resp)
	}
	resp.Body.Close()
	return nil
}
