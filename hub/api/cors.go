package api

import (
	"bytes"
	"strings"
)

// Players are web pages, mostly of other origins than the hub's. What they need of the hub, all below /v1/contents/, says to browsers
// that any page may ask: what it may have is the token's to say, and a cookie counts for the pages of one site (see viewer.go).

// forPages says whether pages of other origins may use a path.
func forPages(path []byte) bool { return bytes.HasPrefix(path, []byte("/v1/contents/")) }

// preflight answers what a browser asks before a page's request (the Fetch standard, section 3.2); false: it is something else.
func (c *call) preflight(path []byte) bool {
	h := &c.ctx.Request.Header
	if string(c.ctx.Method()) != "OPTIONS" || len(h.Peek("Origin")) == 0 || len(h.Peek("Access-Control-Request-Method")) == 0 || !forPages(path) {
		return false
	}
	var methods []string
	for i := range routes {
		if _, ok := match(routes[i].path, path); ok {
			methods = append(methods, routes[i].method)
		}
	}
	if methods == nil {
		return false
	}
	c.ctx.SetStatusCode(204)
	c.ctx.Response.Header.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	c.ctx.Response.Header.Set("Access-Control-Allow-Headers", "authorization, content-type, range")
	c.ctx.Response.Header.Set("Access-Control-Max-Age", "3600")
	return true
}

// admit lets the page that asked read the answer, and send its cookie along.
func (c *call) admit(path []byte) {
	origin := c.ctx.Request.Header.Peek("Origin")
	if !forPages(path) {
		return
	}
	h := &c.ctx.Response.Header
	h.Add("Vary", "Origin")
	if len(origin) > 0 {
		h.SetBytesV("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
	}
}
