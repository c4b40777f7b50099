package view

import "glimpse/registry/image"

// Member returns a share as the API shows it.
func Member(m image.Member) map[string]any {
	return map[string]any{
		"image_id": m.ImageID, "member_id": m.MemberID, "status": m.Status,
		"created_at": Time(m.CreatedAt), "updated_at": Time(m.UpdatedAt), "schema": "/v2/schemas/member",
	}
}

// Members returns the shares of an image.
func Members(all []image.Member) map[string]any {
	list := make([]any, 0, len(all))
	for _, m := range all {
		list = append(list, Member(m))
	}
	return map[string]any{"members": list, "schema": "/v2/schemas/members"}
}
