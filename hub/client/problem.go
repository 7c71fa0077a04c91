package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"time"
)

// Problem is what the hub answers instead of doing what it was asked to (RFC 9457).
type Problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"` // stable, for programs
	Title     string `json:"title"`
	Detail    string `json:"detail"`    // for people
	Retryable bool   `json:"retryable"` // the same request, unchanged, can succeed later

	Offer *UnitOffer `json:"offer,omitempty"` // of a unit that is to be paid for; nil: nothing said

	RetryAfter    time.Duration `json:"-"` // what the hub asks to wait; 0: nothing said
	hasRetryAfter bool
}

// Error has the code first, and then what it means.
func (p *Problem) Error() string {
	if text := p.Text(); text != "" {
		return p.Code + ": " + text
	}
	return p.Code
}

// Text is the detail, or for want of one the title.
func (p *Problem) Text() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// readProblem makes a Problem of any answer that is not 2xx, also of one that somebody between here and the hub has made.
func readProblem(resp *http.Response, body []byte) *Problem {
	p := &Problem{}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Code == "" {
		*p = Problem{
			Code:      fmt.Sprintf("http_%d", resp.StatusCode),
			Title:     fmt.Sprintf("answered %d %s, and not by a hub", resp.StatusCode, http.StatusText(resp.StatusCode)),
			Retryable: resp.StatusCode >= 500,
		}
	}
	p.Status = resp.StatusCode // whatever the body says
	p.RetryAfter, p.hasRetryAfter = retryAfter(resp.Header)
	return p
}
