package sqlstore

import (
	"glimpse/registry"
	"glimpse/registry/image"
)

// branches are the rules by which the caller sees images, one clause each, of
// images that are not deleted. An admin sees all by one rule. An empty project is no one's: it owns nothing and
// nothing is shared with it.
func branches(q registry.Query) []clause {
	if registry.Text("Project", q.Project, 255) != nil {
		q.Project = ""
	}
	if q.Admin {
		return []clause{live(adminBranch(q))}
	}
	var all []clause
	add := func(sql string, args ...any) { all = append(all, live(clause{sql, args})) }
	wants := func(v image.Visibility) bool {
		return q.Visibility == "" || q.Visibility == "all" || q.Visibility == string(v)
	}
	if q.Project != "" {
		switch q.Visibility {
		case "", "all":
			add("i.owner = ?", q.Project)
		case string(image.Private), string(image.Shared):
			add("i.owner = ? AND i.visibility = ?", q.Project, q.Visibility)
		}
		if wants(image.Shared) {
			all = append(all, sharedBranch(q))
		}
	}
	if wants(image.Public) {
		add("i.visibility = 'public'")
	}
	if q.Visibility == "all" || q.Visibility == string(image.Community) {
		add("i.visibility = 'community'")
	}
	return all
}

// live keeps the deleted ones out, by a column of every index that has an order.
func live(c clause) clause { return clause{c.sql + " AND i.deleted = 0", c.args} }

func adminBranch(q registry.Query) clause {
	switch q.Visibility {
	case "all":
		return clause{sql: "1 = 1"}
	case "":
		if q.Project == "" {
			return clause{sql: "i.visibility <> 'community'"}
		}
		return clause{"(i.visibility <> 'community' OR i.owner = ?)", []any{q.Project}}
	}
	return clause{"i.visibility = ?", []any{q.Visibility}}
}

func sharedBranch(q registry.Query) clause {
	// COALESCE keeps the engines from walking an index over all images: a project
	// is a member of few.
	c := clause{"COALESCE(i.visibility, '') = 'shared' AND COALESCE(i.deleted, 1) = 0 AND i.id IN (SELECT image_id FROM image_members WHERE member = ? AND deleted = 0", []any{q.Project}}
	switch q.MemberStatus {
	case "all":
	case "":
		c.sql, c.args = c.sql+" AND status = ?", append(c.args, string(image.MemberAccepted))
	default:
		c.sql, c.args = c.sql+" AND status = ?", append(c.args, string(q.MemberStatus))
	}
	c.sql += ")"
	return c
}
