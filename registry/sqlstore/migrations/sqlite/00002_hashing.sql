-- +goose Up
CREATE TABLE IF NOT EXISTS glimpse_hashing (
  image_id varchar(36) NOT NULL,
  token varchar(32) NOT NULL,
  tries int NOT NULL,
  due bigint NOT NULL,
  PRIMARY KEY (image_id)
);
CREATE INDEX IF NOT EXISTS glimpse_hashing_due ON glimpse_hashing (due);
