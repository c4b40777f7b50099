package ops

import (
	"context"

	"glimpse/backends"
	"glimpse/registry/image"
)

// Share tells the stores that keep images in their users' accounts who may read an
// image there: a Glance beside this service reads with its users' rights. It is
// called when the image has got bytes, and whenever its visibility, locations or
// members have changed; what fails is in the log, as nothing here depends on it.
func (s *Service) Share(ctx context.Context, m image.Image) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	for _, l := range m.Locations {
		st := s.storeOf(l)
		if st == nil || st.ReadOnly {
			continue
		}
		t, ok := backends.TenantsOf(st.Backend)
		if !ok {
			continue
		}
		everybody := m.Visibility == image.Public || m.Visibility == image.Community
		projects, err := s.readers(ctx, m, everybody)
		if err == nil {
			err = t.Share(ctx, backends.Locator(l.URL.Reveal()), everybody, projects)
		}
		if err != nil {
			s.cfg.Log.WarnContext(ctx, "who may read an image in its owner's account could not be set", "image", m.ID, "store", st.ID, "error", err)
		}
	}
}

func (s *Service) readers(ctx context.Context, m image.Image, everybody bool) (projects []string, err error) {
	if everybody {
		return nil, nil
	}
	members, err := s.cfg.Registry.Members(ctx, m.ID)
	for _, member := range members {
		projects = append(projects, member.MemberID)
	}
	return projects, err
}
