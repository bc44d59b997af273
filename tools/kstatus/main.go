// Command kstatus says of objects what kstatus, the library that Flux and others wait with, says of them.
//
// Standard input: a JSON list of Kubernetes objects. Standard output: a JSON list of {"status", "message"}, in that order.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type said struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var objects []map[string]any
	// Kubernetes' own reader: whole numbers stay whole, as generation must be
	if err := kjson.Unmarshal(text, &objects); err != nil {
		return err
	}
	answers := make([]said, 0, len(objects))
	for _, each := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: each})
		if err != nil {
			return err
		}
		answers = append(answers, said{string(result.Status), result.Message})
	}
	return json.NewEncoder(out).Encode(answers)
}
