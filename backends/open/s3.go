package open

import (
	"context"

	"glimpse/backends"
	"glimpse/backends/s3"
)

// S3 holds the keys of type s3.
type S3 struct {
	Endpoint          string          `yaml:"endpoint"`
	Bucket            string          `yaml:"bucket"`
	AccessKey         backends.Secret `yaml:"access_key"`
	SecretKey         backends.Secret `yaml:"secret_key"`
	Region            string          `yaml:"region"`
	URLFormat         string          `yaml:"url_format"`
	ConditionalWrites string          `yaml:"conditional_writes"`
	PartSize          Size            `yaml:"part_size"`
	CACert            string          `yaml:"cacert"`
	CreateBucket      bool            `yaml:"create_bucket"`
}

func newS3() *S3 {
	return &S3{Region: "us-east-1", URLFormat: s3.Auto, ConditionalWrites: s3.Auto, PartSize: s3.DefaultPart}
}

// Resolve finds the certificates beside the configuration, and checks all else.
func (c *S3) Resolve(d Dirs) error {
	c.CACert = Under(d.Config, c.CACert)
	k := c.config(Common{})
	k.CAFile = "" // need not be there yet
	s, err := s3.Open(k)
	if err != nil {
		return err
	}
	return s.Close()
}

// Open makes the store.
func (c *S3) Open(_ context.Context, _ string, common Common) (backends.Store, error) {
	return s3.Open(c.config(common))
}

func (c *S3) config(common Common) s3.Config {
	return s3.Config{
		Endpoint: c.Endpoint, Bucket: c.Bucket, AccessKey: c.AccessKey, SecretKey: c.SecretKey, Region: c.Region,
		URLFormat: c.URLFormat, ConditionalWrites: c.ConditionalWrites, PartSize: common.part(c.PartSize, s3.MinPart), CAFile: c.CACert,
		CreateBucket: c.CreateBucket, Timeout: common.Timeout, Retries: common.retries(),
	}
}

// Owns tells the objects of its bucket.
func (c *S3) Owns() func(backends.Locator) bool { return c.config(Common{}).Owns() }

// Properties are Glance's of an S3 store; every object is made of parts, which
// are sent one after another.
func (c *S3) Properties() map[string]any {
	return map[string]any{
		"s3_store_large_object_size": int64(c.PartSize), "s3_store_large_object_chunk_size": int64(c.PartSize), "s3_store_thread_pools": 1,
	}
}
