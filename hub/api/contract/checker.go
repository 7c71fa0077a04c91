// Package contract holds HTTP exchanges against the hub's OpenAPI document. It is for tests only.
//
// kin-openapi loads and validates the document, finds routes, and checks parameters, headers and security. Bodies are
// checked here, against schemas compiled once: its own visitor compares amounts as floating point, which cannot tell
// 21 million bitcoin in msat from one msat more, and has no notion of NDJSON or of binary records.
package contract

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Checker checks exchanges against one document and remembers which operations it has seen. It may be used from several
// goroutines at once.
type Checker struct {
	doc     *openapi3.T    // read-only after New
	router  routers.Router // read-only after New
	schemas *schemas       // read-only after New

	mu   sync.Mutex
	seen map[string]bool // by operation: whether an exchange with a 2xx answer was checked and found good
}

// New reads a document of OpenAPI 3.1. It fails if the document is invalid or describes a body that Check could not check.
func New(document []byte) (*Checker, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if !doc.IsOpenAPI31OrLater() {
		return nil, fmt.Errorf("OpenAPI %s: want 3.1", doc.OpenAPI)
	}
	doc.Servers = nil // tests listen anywhere; paths count from the root
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("checking the OpenAPI document: %w", err)
	}
	schemas, err := compile(doc)
	if err != nil {
		return nil, err
	}
	return &Checker{doc: doc, router: router, schemas: schemas, seen: make(map[string]bool)}, nil
}

// Operations lists what the document describes, as "METHOD /path", sorted.
func (c *Checker) Operations() []string {
	var ops []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			ops = append(ops, method+" "+path)
		}
	}
	slices.Sort(ops)
	return ops
}

// Seen lists the operations that some exchange carried out: checked, found good, and answered 2xx. It is sorted.
func (c *Checker) Seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ops := make([]string, 0, len(c.seen))
	for op := range c.seen {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	return ops
}

// Check returns what is wrong with an exchange, or nil. The path may have a query. The response is always checked; the
// request only if it was answered 2xx, so that tests may send bad ones: a hub that accepts a request which the document
// does not allow is as wrong as one that answers in a way it does not describe.
//
// A path or method that the document lacks is wrong, unless the answer is the problem that the document promises for
// it: 404, or 405 with Allow.
func (c *Checker) Check(method, path string, reqHeader http.Header, reqBody []byte, status int, respHeader http.Header, respBody []byte) error {
	x := exchange{
		method: method, reqHeader: reqHeader, reqBody: reqBody,
		status: status, respHeader: respHeader, respBody: respBody,
	}
	err := x.locate(c.router, path)
	if err == nil && x.route == nil {
		err = c.checkUnrouted(&x)
	} else if err == nil {
		err = c.checkRouted(&x)
	}
	if err != nil {
		return fmt.Errorf("%s %s answered %d: %w", method, path, status, err)
	}
	return nil
}

func (c *Checker) checkRouted(x *exchange) error {
	if err := c.checkResponse(x); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if !x.ok() {
		return nil
	}
	if err := c.checkRequest(x); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if x.route.Path == batchPath {
		if err := checkBatch(x); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[x.route.Method+" "+x.route.Path] = true
	return nil
}

func (c *Checker) checkUnrouted(x *exchange) error {
	want := http.StatusNotFound
	if x.pathKnown {
		want = http.StatusMethodNotAllowed
	}
	if x.status != want {
		return fmt.Errorf("the document has no such operation: want %d", want)
	}
	if x.pathKnown && x.respHeader.Get("Allow") == "" {
		return errors.New("response: no Allow header")
	}
	if mt := mediaType(x.respHeader); mt != problemType {
		return fmt.Errorf("response: Content-Type %q: want %s", mt, problemType)
	}
	if err := c.schemas.problem.check(x.respBody); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return checkProblem(x)
}

func (c *Checker) checkResponse(x *exchange) error {
	ref := x.route.Operation.Responses.Status(x.status)
	if ref == nil && x.status >= 400 {
		ref = x.route.Operation.Responses.Default()
	}
	if ref == nil {
		return errors.New("the document does not have this status")
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: x.input(),
		Status:                 x.status,
		Header:                 x.respHeader,
		Options:                &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		return err
	}
	if err := c.checkBody(ref.Value.Content, x.respHeader, x.respBody); err != nil {
		return err
	}
	if x.status >= 400 {
		return checkProblem(x)
	}
	return nil
}

func (c *Checker) checkRequest(x *exchange) error {
	input := x.input()
	input.Options = &openapi3filter.Options{ExcludeRequestBody: true, AuthenticationFunc: bearer, SkipSettingDefaults: true}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return err
	}
	for name := range x.url.Query() {
		if x.route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("the document does not have query parameter %q", name)
		}
	}
	body := x.route.Operation.RequestBody
	switch {
	case len(x.reqBody) == 0 && body != nil && body.Value.Required:
		return errors.New("no body where the document requires one")
	case len(x.reqBody) == 0:
		return nil
	case body == nil:
		return errors.New("a body where the document has none")
	}
	return c.checkBody(body.Value.Content, x.reqHeader, x.reqBody)
}

func (c *Checker) checkBody(content openapi3.Content, header http.Header, body []byte) error {
	name := mediaType(header)
	media := content[name]
	if media == nil {
		return fmt.Errorf("the document does not have Content-Type %q here", header.Get("Content-Type"))
	}
	if err := c.schemas.bodies[media].check(body); err != nil {
		return fmt.Errorf("body (%s): %w", name, err)
	}
	return nil
}

// bearer says whether a request that was let in carried a token at all; whether it was the right one is the hub's to know.
func bearer(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	scheme, token, _ := strings.Cut(input.RequestValidationInput.Request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return errors.New("answered without a bearer token, which the document requires")
	}
	return nil
}

// exchange is one request with its answer, and where the document describes it.
type exchange struct {
	method     string
	url        *url.URL
	reqHeader  http.Header
	reqBody    []byte
	status     int
	respHeader http.Header
	respBody   []byte

	route      *routers.Route // nil: the document has no such operation
	pathParams map[string]string
	pathKnown  bool // the document has the path, if perhaps not with this method
}

func (x *exchange) ok() bool { return x.status >= 200 && x.status < 300 }

func (x *exchange) locate(router routers.Router, path string) error {
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	x.url = u
	if x.route, x.pathParams, err = router.FindRoute(x.request(x.method)); err == nil {
		x.pathKnown = true
		return nil
	}
	x.route = nil
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, _, err := router.FindRoute(x.request(method)); err == nil {
			x.pathKnown = true
		}
	}
	return nil
}

func (x *exchange) request(method string) *http.Request {
	header := x.reqHeader
	if header == nil {
		header = http.Header{}
	}
	return &http.Request{Method: method, URL: x.url, Header: header}
}

func (x *exchange) input() *openapi3filter.RequestValidationInput {
	return &openapi3filter.RequestValidationInput{Request: x.request(x.method), PathParams: x.pathParams, Route: x.route}
}

// mediaType is the Content-Type without parameters, in lower case, or "" if there is none that can be read.
func mediaType(header http.Header) string {
	name, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return name
}
