-- +goose Up
CREATE TABLE IF NOT EXISTS glimpse_hashing (
  image_id varchar(36) NOT NULL,
  token varchar(32) COLLATE utf8mb3_bin NOT NULL,
  tries int NOT NULL,
  due bigint NOT NULL,
  PRIMARY KEY (image_id),
  KEY glimpse_hashing_due (due)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
