-- +goose Up
CREATE TABLE IF NOT EXISTS glimpse_image_version (
  image_id varchar(36) NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (image_id)
);

CREATE TABLE IF NOT EXISTS glimpse_uploads (
  id integer PRIMARY KEY AUTOINCREMENT,
  token varchar(32) NOT NULL,
  image_id varchar(36) NOT NULL,
  store varchar(255) NOT NULL,
  node varchar(255) NOT NULL,
  first tinyint(1) NOT NULL,
  locator text NOT NULL,
  state varchar(10) NOT NULL,
  lease_until bigint NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS glimpse_uploads_token ON glimpse_uploads (token);
CREATE INDEX IF NOT EXISTS glimpse_uploads_image ON glimpse_uploads (image_id);
CREATE INDEX IF NOT EXISTS glimpse_uploads_state ON glimpse_uploads (state, lease_until);

CREATE TABLE IF NOT EXISTS glimpse_location (
  location_id bigint NOT NULL,
  size bigint NOT NULL,
  validator varchar(1024) NOT NULL,
  bad tinyint(1) NOT NULL,
  PRIMARY KEY (location_id)
);

CREATE TABLE IF NOT EXISTS glimpse_location_node (
  location_id bigint NOT NULL,
  node varchar(255) NOT NULL,
  PRIMARY KEY (location_id)
);

CREATE TABLE IF NOT EXISTS glimpse_content (
  location_id bigint NOT NULL,
  algo varchar(64) NOT NULL,
  hash varchar(128) NOT NULL,
  size bigint NOT NULL,
  content_key varchar(255) NOT NULL,
  PRIMARY KEY (location_id)
);
CREATE INDEX IF NOT EXISTS glimpse_content_key ON glimpse_content (content_key);

CREATE TABLE IF NOT EXISTS glimpse_manifest (
  content_key varchar(255) NOT NULL,
  segment int NOT NULL,
  data blob NOT NULL,
  PRIMARY KEY (content_key, segment)
);

CREATE TABLE IF NOT EXISTS glimpse_setting (
  name varchar(255) NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (name)
);
