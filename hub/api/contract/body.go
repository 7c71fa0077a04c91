package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	ndjsonType  = "application/x-ndjson"
	opsType     = "application/vnd.millrace.ops"
	resultsType = "application/vnd.millrace.results"
	textType    = "text/plain"
	yamlType    = "application/yaml"
	octetType   = "application/octet-stream"
	csvType     = "text/csv"
	xmlType     = "text/xml"
	eventsType  = "text/event-stream"
	parquetType = "application/vnd.apache.parquet"
)

// maxDepth bounds the nesting of a JSON body; the document's own schemas reach five.
const maxDepth = 32

// body checks the body of one media type at one place of the document.
type body interface{ check(data []byte) error }

type (
	jsonBody struct{ schema *jsonschema.Schema } // one JSON value
	textBody struct{ schema *jsonschema.Schema } // UTF-8, as a string
	lineBody struct {                            // one JSON value per line
		schema *jsonschema.Schema
		ended  bool // the last line needs its line feed too
	}
	binaryBody func(data []byte) error
)

// schemas holds the document's schemas as compiled for JSON Schema 2020-12.
type schemas struct {
	bodies  map[*openapi3.MediaType]body
	problem body
}

func compile(doc *openapi3.T) (*schemas, error) {
	c := &compiler{schemas: schemas{bodies: make(map[*openapi3.MediaType]body)}}
	if err := c.load(doc); err != nil {
		return nil, fmt.Errorf("compiling the document's schemas: %w", err)
	}
	for name := range doc.Components.Schemas {
		if _, err := c.compile("components", "schemas", name); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	problem, err := c.compile("components", "schemas", "Problem")
	if err != nil {
		return nil, fmt.Errorf("schema Problem: %w", err)
	}
	c.problem = jsonBody{problem}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if err := c.operation(path, method, op); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
	}
	return &c.schemas, nil
}

type compiler struct {
	schemas
	*jsonschema.Compiler
}

// documentURL is where the compiler believes the document to be; nothing is ever fetched.
const documentURL = "urn:openapi"

func (c *compiler) load(doc *openapi3.T) error {
	text, err := doc.MarshalJSON()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	c.Compiler = jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(jsonschema.SchemeURLLoader{})
	return c.AddResource(documentURL, value)
}

func (c *compiler) operation(path, method string, op *openapi3.Operation) error {
	at := []string{"paths", path, strings.ToLower(method)}
	if op.RequestBody != nil {
		if err := c.content(append(at, "requestBody"), op.RequestBody.Ref, op.RequestBody.Value.Content, false); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	for status, ref := range op.Responses.Map() {
		if len(ref.Value.Content) == 0 {
			return fmt.Errorf("response %s has no content", status)
		}
		if err := c.content(append(at, "responses", status), ref.Ref, ref.Value.Content, true); err != nil {
			return fmt.Errorf("response %s: %w", status, err)
		}
	}
	return nil
}

// content compiles what lies at a place of the document, or at the component that it refers to.
func (c *compiler) content(at []string, ref string, content openapi3.Content, response bool) error {
	if ref != "" {
		at = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	for name, media := range content {
		if c.bodies[media] != nil {
			continue // a component seen before
		}
		if media.Schema == nil {
			return fmt.Errorf("%s has no schema", name)
		}
		schema, err := c.compile(append(append([]string{}, at...), "content", name, "schema")...)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if c.bodies[media], err = c.body(name, schema, response); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) body(name string, schema *jsonschema.Schema, response bool) (body, error) {
	switch name {
	case jsonType, problemType:
		return jsonBody{schema}, nil
	case textType, yamlType, csvType, xmlType:
		return textBody{schema}, nil
	case octetType:
		return binaryBody(checkOctets), nil
	case eventsType:
		return eventBody{schema}, nil
	case parquetType:
		return binaryBody(checkParquet), nil
	case opsType:
		return binaryBody(checkOps), nil
	case resultsType:
		return binaryBody(checkResults), nil
	case ndjsonType:
		component := "Op"
		if response {
			component = "OpResult"
		}
		line, err := c.compile("components", "schemas", component)
		return lineBody{line, response}, err
	}
	return nil, fmt.Errorf("no way to check a body of %s", name)
}

// compile compiles the schema at a JSON pointer (RFC 6901), given by its tokens.
func (c *compiler) compile(tokens ...string) (*jsonschema.Schema, error) {
	var pointer strings.Builder
	for _, token := range tokens {
		pointer.WriteByte('/')
		pointer.WriteString(url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token)))
	}
	return c.Compile(documentURL + "#" + pointer.String())
}

func (b jsonBody) check(data []byte) error {
	value, err := decodeJSON(data)
	if err != nil {
		return err
	}
	return b.schema.Validate(value)
}

func (b textBody) check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	return b.schema.Validate(string(data))
}

func (b lineBody) check(data []byte) error {
	if b.ended && !bytes.HasSuffix(data, []byte("\n")) {
		return errors.New("the last line has no line feed")
	}
	lines := splitLines(data)
	if len(lines) > maxOps {
		return fmt.Errorf("%d lines, more than %d", len(lines), maxOps)
	}
	for i, line := range lines {
		if err := (jsonBody{b.schema}).check(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

func (b binaryBody) check(data []byte) error { return b(data) }

// splitLines cuts at line feeds; one at the very end starts no further line.
func splitLines(data []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

// checkOctets knows nothing of what it gets, but that nothing is not what is asked for.
func checkOctets(data []byte) error {
	if len(data) == 0 {
		return errors.New("empty")
	}
	return nil
}

// checkProblem checks what a schema cannot say: that the parts of a problem agree with each other and with the status.
func checkProblem(x *exchange) error {
	var problem struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Code   string `json:"code"`
	}
	if err := json.Unmarshal(x.respBody, &problem); err != nil {
		return fmt.Errorf("problem: %w", err)
	}
	if problem.Status != x.status {
		return fmt.Errorf("problem: its status is %d", problem.Status)
	}
	if want := "urn:millrace:problem:" + problem.Code; problem.Type != want {
		return fmt.Errorf("problem: its type is %q: want %q", problem.Type, want)
	}
	return nil
}

// decodeJSON is stricter than encoding/json where a hand-written encoder goes wrong: a member given twice, data after
// the value, and numbers that are not plain integers are errors.
func decodeJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := decodeValue(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("JSON at byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more data after the JSON value")
	}
	return value, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		if strings.ContainsAny(t.String(), ".eE") {
			return nil, fmt.Errorf("%s is not a plain integer", t)
		}
	case json.Delim:
		if t == '{' {
			return decodeObject(dec, depth)
		}
		return decodeArray(dec, depth)
	}
	return token, nil
}

func decodeObject(dec *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the decoder lets nothing else stand here
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("member %q given twice", name)
		}
		if object[name], err = decodeValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}

func decodeArray(dec *json.Decoder, depth int) (any, error) {
	array := []any{}
	for dec.More() {
		value, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := dec.Token()
	return array, err
}
