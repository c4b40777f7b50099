package memstore

import (
	"context"

	"glimpse/registry"
	"glimpse/registry/image"
)

func (r *row) live() []image.Member {
	var all []image.Member
	for _, m := range r.members {
		if !m.deleted {
			all = append(all, m.Member)
		}
	}
	return all
}

func (r *row) member(project string) *member {
	for i := range r.members {
		if r.members[i].MemberID == project {
			return &r.members[i]
		}
	}
	return nil
}

func noMember(id, project string) error {
	return image.Errorf(image.NotFound, "%s not found in the member list of the image %s.", project, id)
}

// Members returns the live members of an image, oldest first.
func (s *Store) Members(ctx context.Context, imageID string) ([]image.Member, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.images[imageID]; r != nil {
		return r.live(), nil
	}
	return nil, nil
}

// Member returns one of them.
func (s *Store) Member(ctx context.Context, imageID, project string) (image.Member, error) {
	if err := ended(ctx); err != nil {
		return image.Member{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.images[imageID]; r != nil {
		if m := r.member(project); m != nil && !m.deleted {
			return m.Member, nil
		}
	}
	return image.Member{}, noMember(imageID, project)
}

// AddMember shares the image.
func (s *Store) AddMember(ctx context.Context, imageID, project string, limit int) (image.Member, error) {
	if err := ended(ctx); err != nil {
		return image.Member{}, err
	}
	if err := registry.Text("Member", project, 255); err != nil {
		return image.Member{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.liveLocked(imageID)
	if err != nil {
		return image.Member{}, err
	}
	if n := len(r.live()) + 1; limit >= 0 && n > limit {
		return image.Member{}, image.Errorf(image.TooLarge, "The limit has been exceeded on the number of allowed image members for this image. Attempted: %d, Maximum: %d", n, limit)
	}
	m := r.member(project)
	if m != nil && !m.deleted {
		return image.Member{}, image.Errorf(image.Conflict, "The target member %s is already associated with image %s.", project, imageID)
	}
	if m == nil {
		s.lastID++
		r.members = append(r.members, member{Member: image.Member{ID: s.lastID, ImageID: imageID, MemberID: project, CreatedAt: now()}})
		m = &r.members[len(r.members)-1]
	}
	m.deleted, m.Status, m.CanShare, m.UpdatedAt = false, image.MemberPending, false, now()
	r.Version++
	return m.Member, nil
}

// SetMemberStatus says what the other project thinks of the share.
func (s *Store) SetMemberStatus(ctx context.Context, imageID, project string, status image.MemberStatus) (image.Member, error) {
	switch status {
	case image.MemberPending, image.MemberAccepted, image.MemberRejected:
	default:
		return image.Member{}, image.Errorf(image.Invalid, "%q is not a status of a member.", status)
	}
	return s.changeMember(ctx, imageID, project, func(m *member) { m.Status = status })
}

// RemoveMember ends the share.
func (s *Store) RemoveMember(ctx context.Context, imageID, project string) error {
	_, err := s.changeMember(ctx, imageID, project, func(m *member) { m.deleted = true })
	return err
}

func (s *Store) changeMember(ctx context.Context, imageID, project string, fn func(*member)) (image.Member, error) {
	if err := ended(ctx); err != nil {
		return image.Member{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.liveLocked(imageID)
	if err != nil {
		return image.Member{}, err
	}
	m := r.member(project)
	if m == nil || m.deleted {
		return image.Member{}, noMember(imageID, project)
	}
	fn(m)
	m.UpdatedAt = now()
	r.Version++
	return m.Member, nil
}
