package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// s3Command is this program as a downloader, a process of its own like the other
// stores' tools.
const (
	s3Command  = "s3-download"
	s3Defaults = "5 at once, of 8 MiB"
)

// s3Download drops an object's bytes in /dev/null. args are endpoint, access key,
// secret key, bucket and key.
func s3Download(ctx context.Context, args []string) (err error) {
	if len(args) != 5 {
		return fmt.Errorf("%s endpoint access secret bucket key", s3Command)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	client := s3.New(s3.Options{BaseEndpoint: &args[0], Region: "us-east-1", UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(args[1], args[2], "")})
	m := transfermanager.New(client, func(o *transfermanager.Options) { o.GetObjectType = types.GetObjectRanges })
	_, err = m.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &args[3], Key: &args[4], WriterAt: null})
	return err
}
