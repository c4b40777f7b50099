package policy

// The checks that Glance's default rules are made of.
const (
	admin = "rule:context_is_admin"

	memberOf = "role:member and project_id:%(project_id)s"
	readerOf = "role:reader and project_id:%(project_id)s"

	// visible is "shared" as a word of the image, not a share with the caller: that
	// is tested by the look-up, which finds nothing it does not show.
	visible = "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s)"

	adminOrMember      = admin + " or (" + memberOf + ")"
	adminOrReader      = admin + " or (" + readerOf + ")"
	adminOrReaderSees  = admin + " or (role:reader and " + visible + ")"
	adminOrMemberSees  = admin + " or (role:member and " + visible + ")"
	adminOrReaderShare = admin + " or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
	adminOrNamespace   = admin + " or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
	service            = "rule:service_api"
)

// Defaults returns Glance's default rules, by name.
func Defaults() map[string]string {
	rules := map[string]string{
		"default":          "",
		"context_is_admin": "role:admin",
		"service_api":      "role:service or role:admin",

		"add_image":              admin + " or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
		"get_image":              adminOrReaderSees,
		"get_images":             adminOrReader,
		"download_image":         adminOrMemberSees,
		"download_from_store":    adminOrMemberSees,
		"get_image_location":     adminOrReader,
		"add_image_location":     service + " or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
		"fetch_image_location":   service,
		"get_member":             adminOrReaderShare,
		"get_members":            adminOrReaderShare,
		"modify_member":          admin + " or (role:member and project_id:%(member_id)s)",
		"get_task":               "",
		"get_tasks":              "",
		"add_task":               "",
		"modify_task":            "",
		"stores_info_detail":     admin + " or role:service",
		"metadef_default":        "",
		"metadef_admin":          admin,
		"get_metadef_namespaces": adminOrReader,
	}
	for check, names := range map[string][]string{
		adminOrMember: {
			"delete_image", "modify_image", "upload_image", "communitize_image", "deactivate", "reactivate",
			"set_image_location", "add_member", "delete_member",
		},
		admin: {
			"delete_image_location", "publicize_image", "copy_image", "manage_image_cache", "list_cached_nodes", "cache_image",
			"cache_list", "cache_delete", "cache_clean", "cache_prune", "tasks_api_access",
		},
		adminOrNamespace: {
			"get_metadef_namespace", "get_metadef_object", "get_metadef_objects", "get_metadef_property", "get_metadef_properties",
			"get_metadef_tag", "get_metadef_tags", "list_metadef_resource_types", "get_metadef_resource_type",
		},
		"rule:metadef_admin": {
			"add_metadef_namespace", "modify_metadef_namespace", "delete_metadef_namespace", "add_metadef_object", "modify_metadef_object",
			"delete_metadef_object", "add_metadef_tag", "modify_metadef_tag", "delete_metadef_tag", "add_metadef_tags", "delete_metadef_tags",
			"add_metadef_property", "modify_metadef_property", "remove_metadef_property",
			"add_metadef_resource_type_association", "remove_metadef_resource_type_association",
		},
	} {
		for _, name := range names {
			rules[name] = check
		}
	}
	return rules
}
