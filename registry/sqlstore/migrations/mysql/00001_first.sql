-- +goose Up
CREATE TABLE IF NOT EXISTS glimpse_image_version (
  image_id varchar(36) NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (image_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_uploads (
  id bigint NOT NULL AUTO_INCREMENT,
  token varchar(32) COLLATE utf8mb3_bin NOT NULL,
  image_id varchar(36) NOT NULL,
  store varchar(255) COLLATE utf8mb3_bin NOT NULL,
  node varchar(255) COLLATE utf8mb3_bin NOT NULL,
  first tinyint(1) NOT NULL,
  locator text COLLATE utf8mb3_bin NOT NULL,
  state varchar(10) NOT NULL,
  lease_until bigint NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY glimpse_uploads_token (token),
  KEY glimpse_uploads_image (image_id),
  KEY glimpse_uploads_state (state, lease_until)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_location (
  location_id bigint NOT NULL,
  size bigint NOT NULL,
  validator varchar(1024) COLLATE utf8mb3_bin NOT NULL,
  bad tinyint(1) NOT NULL,
  PRIMARY KEY (location_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_location_node (
  location_id bigint NOT NULL,
  node varchar(255) COLLATE utf8mb3_bin NOT NULL,
  PRIMARY KEY (location_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_content (
  location_id bigint NOT NULL,
  algo varchar(64) NOT NULL,
  hash varchar(128) NOT NULL,
  size bigint NOT NULL,
  content_key varchar(255) COLLATE utf8mb3_bin NOT NULL,
  PRIMARY KEY (location_id),
  KEY glimpse_content_key (content_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_manifest (
  content_key varchar(255) COLLATE utf8mb3_bin NOT NULL,
  segment int NOT NULL,
  data mediumblob NOT NULL,
  PRIMARY KEY (content_key, segment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;

CREATE TABLE IF NOT EXISTS glimpse_setting (
  name varchar(255) COLLATE utf8mb3_bin NOT NULL,
  value text COLLATE utf8mb3_bin NOT NULL,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
