package proxy

import (
	"slices"
	"strings"

	"glimpse/proxy/ops"
	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

var errSingleStore = image.Errorf(image.NotFound, "Multi backend is not supported at this site.")

// multiStore says whether stores are shown.
func (s *Server) multiStore() bool { return !s.cfg.SingleStore }

// storeIDs lists the stores, the default one first.
func (s *Server) storeIDs() []string {
	ids := []string{s.cfg.Ops.DefaultStore()}
	for _, st := range s.cfg.Ops.Stores() {
		if !slices.Contains(ids, st.ID) {
			ids = append(ids, st.ID)
		}
	}
	return ids
}

// infoStores lists the stores, of which a deployment in single-store mode has
// none to show.
func infoStores(r *request) error {
	if !r.s.multiStore() {
		return errSingleStore
	}
	list := []view.StoreInfo{}
	for _, st := range r.s.cfg.Ops.Stores() {
		list = append(list, r.s.storeInfo(st))
	}
	return r.answer(fasthttp.StatusOK, map[string]any{"stores": list})
}

// infoStoresDetail adds what only admins and services are shown.
func infoStoresDetail(r *request) error {
	if !r.s.multiStore() {
		return errSingleStore
	}
	if !r.who.Anonymous && !r.s.cfg.Policy.Allows("stores_info_detail", r.roles, nil) {
		return image.Errorf(image.Forbidden, "You are not authorized to complete stores_info_detail action.")
	}
	list := []view.StoreDetail{}
	for _, st := range r.s.cfg.Ops.Stores() {
		d := view.StoreDetail{StoreInfo: r.s.storeInfo(st), Type: st.Type, Weight: st.Weight, Properties: st.Properties}
		if d.Properties == nil {
			d.Properties = map[string]any{}
		}
		list = append(list, d)
	}
	return r.answer(fasthttp.StatusOK, map[string]any{"stores": list})
}

func (s *Server) storeInfo(st ops.Store) view.StoreInfo {
	info := view.StoreInfo{ID: st.ID, Description: st.Description}
	if st.ID == s.cfg.Ops.DefaultStore() {
		info.Default = "true"
	}
	if st.ReadOnly {
		info.ReadOnly = "true"
	}
	return info
}

// withdraw removes an image's copy from one store. The checks come in Glance's
// order: the store, the image, the right.
func withdraw(r *request) error {
	if !r.s.multiStore() {
		return errNoResource
	}
	store, err := r.param("store")
	if err != nil {
		return err
	}
	if !slices.Contains(r.s.storeIDs(), store) {
		return image.Errorf(image.Conflict, "The selected store %s is not available on this node.", clip(store))
	}
	m, err := r.load("get_image_location")
	if err != nil {
		return err
	}
	if err := r.may("delete_image_location", m); err != nil {
		return err
	}
	if err := r.s.cfg.Ops.Withdraw(r.ctx, m, store); err != nil {
		return err
	}
	return r.empty(fasthttp.StatusNoContent)
}

// uploadStore is the store that an upload asks for; in single-store mode the
// header means nothing.
func (r *request) uploadStore() string {
	if !r.s.multiStore() {
		return ""
	}
	return r.header("X-Image-Meta-Store")
}

// preferred reads the stores that a download is to come from if it can.
func (r *request) preferred(m image.Image) ([]string, error) {
	text := string(r.http.QueryArgs().Peek("prefer"))
	if text == "" {
		return nil, nil
	}
	if !r.s.multiStore() {
		return nil, image.Errorf(image.Invalid, "There are no several stores at this site to prefer one of.")
	}
	if err := r.may("download_from_store", m); err != nil {
		return nil, err
	}
	list := strings.Split(text, ",")
	known := r.s.storeIDs()
	for _, id := range list {
		if !slices.Contains(known, id) {
			return nil, image.Errorf(image.Invalid, "Store %s is not configured.", clip(id))
		}
	}
	return list, nil
}
