package proxy

import (
	"slices"
	"strings"

	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// members answers whom an image is shared with.
func members(r *request) error {
	m, err := r.shared()
	if err != nil {
		return err
	}
	if err := r.may("get_members", m); err != nil {
		return err
	}
	all, err := r.s.cfg.Members.Members(r.ctx, m.ID)
	if err != nil {
		return err
	}
	mayOne := r.allows("get_member", m)
	all = slices.DeleteFunc(all, func(x image.Member) bool { return !mayOne || !r.seesMember(m, x.MemberID) })
	return r.answer(fasthttp.StatusOK, view.Members(all))
}

// showMember answers one share. Whoever may not see it learns nothing of it.
func showMember(r *request) error {
	_, member, err := r.member()
	if image.KindOf(err) == image.Forbidden {
		err = image.Wrap(image.NotFound, err, "The image has no such member.")
	}
	if err != nil {
		return err
	}
	return r.answer(fasthttp.StatusOK, view.Member(member))
}

// addMember shares an image with a project, whose answer is then pending.
func addMember(r *request) error {
	body, err := r.object()
	if err != nil {
		return err
	}
	project, err := text("member", body["member"])
	if err != nil {
		return err
	}
	if project == "" {
		return image.Errorf(image.Invalid, "Member can't be empty")
	}
	m, err := r.shared()
	if err != nil {
		return err
	}
	if err := r.may("add_member", m); err != nil {
		return err
	}
	member, err := r.s.cfg.Members.AddMember(r.ctx, m.ID, project, r.s.cfg.Limits.Members)
	if err != nil {
		return err
	}
	r.s.cfg.Ops.Share(r.ctx, m)
	return r.answer(fasthttp.StatusOK, view.Member(member))
}

// answerShare says what the other project thinks of a share: its own word, not
// the owner's.
func answerShare(r *request) error {
	body, err := r.object()
	if err != nil {
		return err
	}
	said, ok := body["status"]
	if !ok {
		return image.Errorf(image.Invalid, "Status not specified")
	}
	m, member, err := r.member()
	if err != nil {
		return err
	}
	if err := r.may("modify_member", m); err != nil {
		return err
	}
	status, err := memberStatus(said)
	if err != nil {
		return err
	}
	if member, err = r.s.cfg.Members.SetMemberStatus(r.ctx, m.ID, member.MemberID, status); err != nil {
		return err
	}
	return r.answer(fasthttp.StatusOK, view.Member(member))
}

func memberStatus(v any) (image.MemberStatus, error) {
	s, err := text("status", v)
	if err != nil {
		return "", err
	}
	return image.MemberStatus(s), word("status", s, "pending", "accepted", "rejected")
}

// removeMember ends a share.
func removeMember(r *request) error {
	m, member, err := r.member()
	if err != nil {
		return err
	}
	if err := r.may("delete_member", m); err != nil {
		return err
	}
	if err := r.s.cfg.Members.RemoveMember(r.ctx, m.ID, member.MemberID); err != nil {
		return err
	}
	r.s.cfg.Ops.Share(r.ctx, m)
	return r.empty(fasthttp.StatusNoContent)
}

// shared loads the image of the path, which must be of those that have members.
func (r *request) shared() (image.Image, error) {
	m, err := r.image()
	if err == nil && m.Visibility != image.Shared {
		err = image.Errorf(image.Forbidden, "Only shared images have members.")
	}
	return m, err
}

// member loads the share that the path names if the caller may see it.
func (r *request) member() (m image.Image, member image.Member, err error) {
	if m, err = r.shared(); err != nil {
		return m, member, err
	}
	if err = r.may("get_member", m); err != nil {
		return m, member, err
	}
	project, err := r.param("member")
	if err != nil {
		return m, member, err
	}
	if !r.seesMember(m, project) {
		return m, member, noMember(m, project)
	}
	member, err = r.s.cfg.Members.Member(r.ctx, m.ID, project)
	if image.KindOf(err) == image.NotFound && err != nil {
		err = noMember(m, project)
	}
	return m, member, err
}

// seesMember says whether the caller may know that an image that it sees is
// shared with a project: the owner and an admin may, and that project itself.
func (r *request) seesMember(m image.Image, project string) bool {
	return r.admin || m.OwnedBy(r.who.ProjectID) || project == r.who.ProjectID
}

func noMember(m image.Image, project string) error {
	return image.Errorf(image.NotFound, "%s not found in the member list of the image %s.", strings.ToValidUTF8(clip(project), "?"), m.ID)
}
