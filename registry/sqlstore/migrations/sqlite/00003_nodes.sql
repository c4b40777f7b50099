-- +goose Up
CREATE TABLE IF NOT EXISTS glimpse_nodes (
  id varchar(36) NOT NULL,
  name varchar(255) NOT NULL,
  zone varchar(255) NOT NULL,
  gossip varchar(255) NOT NULL,
  peer varchar(255) NOT NULL,
  api varchar(255) NOT NULL,
  epoch bigint NOT NULL,
  role varchar(16) NOT NULL,
  state varchar(16) NOT NULL,
  stores text NOT NULL,
  lease bigint NOT NULL,
  ttl bigint NOT NULL,
  beat bigint NOT NULL,
  PRIMARY KEY (id)
);
