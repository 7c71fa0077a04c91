package api

import (
	"bytes"
	"errors"
	"strings"

	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// call is one request under way. Calls are pooled, with their buffers.
type call struct {
	server *Server
	hub    *hub.Hub
	ctx    *fasthttp.RequestCtx
	grant  token.Grant
	name   []byte // what stands for {} in the route's path
	second []byte // and for the next {}

	parser fastjson.Parser
	batch  hub.Batch
	number []byte // scratch
	out    []byte // the answer's body
	lost   bool   // the batch may still be in use elsewhere
}

func (c *call) reset() {
	c.ctx, c.name, c.second, c.grant = nil, nil, nil, token.Grant{}
	c.batch.Reset()
	c.out = c.out[:0]
}

// route is one operation of the API. A handler returns nil when it has written the answer.
type route struct {
	method string
	path   string // with {} for a segment, and {*} at its end for any number of them
	scope  token.Scope
	handle func(*call) *problem
}

// public marks a route that asks for no token.
const public token.Scope = 0

// routes, the frequent ones first: they are looked through in order.
var routes = []route{
	{"POST", "/v1/transfers", token.Pay, (*call).transfer},
	{"POST", "/v1/batches", token.Pay, (*call).postBatch},
	{"POST", "/v1/contents/{}/unlock", token.Pay, (*call).unlock},
	{"POST", "/v1/channels/{}/advance", token.Pay, (*call).advance},
	{"GET", "/v1/contents/{}/units/{}/key", public, (*call).unitKey}, // it looks for a token itself
	{"POST", "/v1/contents/{}/units/{}/unlock", token.Pay, (*call).unlockUnit},
	{"GET", "/v1/contents/{}", public, (*call).getContent},
	{"GET", "/v1/contents/{}/quote", public, (*call).getQuote},
	{"GET", "/v1/accounts/{}", token.Read, (*call).getAccount},
	{"POST", "/v1/accounts", public, (*call).createAccount},
	{"POST", "/v1/accounts/{}/tokens", token.Read, (*call).createToken},
	{"POST", "/v1/channels", token.Pay, (*call).openChannel},
	{"GET", "/v1/channels/{}", token.Read, (*call).getChannel},
	{"POST", "/v1/channels/{}/top-up", token.Pay, (*call).topUp},
	{"POST", "/v1/channels/{}/close", token.Pay, (*call).closeChannel},
	{"POST", "/v1/channels/{}/renew", token.Pay, (*call).renewChannel},
	{"POST", "/v1/channels/{}/vouchers", token.Pay, (*call).redeemVoucher},
	{"GET", "/v1/channels/{}/voucher", token.Read, (*call).getVoucher},
	{"POST", "/v1/contents", token.Sell, (*call).register},
	{"POST", "/v1/contents/{}/sessions", token.Pay, (*call).createSession},
	{"POST", "/v1/contents/{}/reprice", token.Sell, (*call).reprice},
	{"POST", "/v1/contents/{}/retire", token.Sell, (*call).retire},
	{"GET", "/v1/rates", public, (*call).listRates},
	{"POST", "/v1/rates", token.Operator, (*call).setRate},
	{"GET", "/v1/rates/sources", token.Operator, (*call).listRateSources},
	{"POST", "/v1/dev/credits", token.Operator, (*call).devCredit},
	{"POST", "/v1/backups", token.Operator, (*call).createBackup},
	{"DELETE", "/v1/backups/{}", token.Operator, (*call).deleteBackup},
	{"GET", "/v1/accounts/{}/receipts/{}", token.Read, (*call).getReceipt},
	{"GET", "/v1/accounts/{}/liability", token.Read, (*call).getLiability},
	{"GET", "/v1/liabilities", public, (*call).getLiabilities},
	{"POST", "/v1/liabilities", token.Operator, (*call).makeLiabilities},
	{"GET", "/log/checkpoint", public, (*call).getCheckpoint},
	{"GET", "/log/tile/{*}", public, (*call).getTile},
	{"GET", "/v1/hub/log-key", public, (*call).getLogKey},
	{"GET", "/v1/accounts/{}/entries", token.Read, (*call).accountEntries},
	{"GET", "/v1/accounts/{}/balance", token.Read, (*call).pastBalance},
	{"GET", "/v1/accounts/{}/statement", token.Read, (*call).accountStatement},
	{"GET", "/v1/accounts/{}/events", token.Read, (*call).accountEvents},
	{"GET", "/v1/channels/{}/entries", token.Read, (*call).channelEntries},
	{"GET", "/v1/channels/{}/statement", token.Read, (*call).channelStatement},
	{"GET", "/v1/events", token.Operator, (*call).allEvents},
	{"GET", "/v1/accounts/{}/webhooks", token.Read, accountHook((*call).listHooks)},
	{"POST", "/v1/accounts/{}/webhooks", token.Read, accountHook((*call).addHook)},
	{"DELETE", "/v1/accounts/{}/webhooks/{}", token.Read, accountHook((*call).removeHook)},
	{"POST", "/v1/accounts/{}/webhooks/{}/rotate", token.Read, accountHook((*call).rotateHook)},
	{"POST", "/v1/accounts/{}/webhooks/{}/replay", token.Read, accountHook((*call).replayHook)},
	{"GET", "/v1/accounts/{}/webhooks/{}/parked", token.Read, accountHook((*call).parkedHook)},
	{"GET", "/v1/accounts/{}/deposits", token.Read, onRails((*call).listDeposits)},
	{"POST", "/v1/accounts/{}/deposits", token.Read, askRails((*call).newInvoice)},
	{"GET", "/v1/accounts/{}/deposits/{}", token.Read, onRails((*call).getDeposit)},
	{"POST", "/v1/accounts/{}/addresses", token.Read, askRails((*call).newAddress)},
	{"POST", "/v1/accounts/{}/quotes", token.Read, askRails((*call).quoteWithdrawal)},
	{"GET", "/v1/accounts/{}/withdrawals", token.Read, onRails((*call).listWithdrawals)},
	{"POST", "/v1/accounts/{}/withdrawals", token.Pay, askRails((*call).withdraw)},
	{"GET", "/v1/accounts/{}/withdrawals/{}", token.Read, askRails((*call).getWithdrawal)},
	{"GET", "/v1/accounts/{}/name", token.Read, onWallets((*call).getName)},
	{"POST", "/v1/accounts/{}/name", token.Read, onWallets((*call).claimName)},
	{"DELETE", "/v1/accounts/{}/name", token.Read, onWallets((*call).releaseName)},
	{"GET", "/v1/accounts/{}/links", token.Read, onWallets((*call).listLinks)},
	{"POST", "/v1/accounts/{}/links", token.Pay, onWallets((*call).createLink)},
	{"DELETE", "/v1/accounts/{}/links/{}", token.Read, onWallets((*call).cancelLink)},
	{"GET", "/v1/accounts/{}/logins", token.Read, onWallets((*call).listLogins)},
	{"POST", "/v1/accounts/{}/logins", token.Pay, onWallets((*call).createLogin)},
	{"DELETE", "/v1/accounts/{}/logins/{}", token.Read, onWallets((*call).revokeLogin)},
	{"GET", "/v1/accounts/{}/connections", token.Read, onConnections((*call).listConnections)},
	{"POST", "/v1/accounts/{}/connections", token.Pay, onConnections((*call).connect)},
	{"DELETE", "/v1/accounts/{}/connections/{}", token.Read, onConnections((*call).disconnect)},
	{"GET", "/v1/accounts/{}/settlement", token.Read, onDesk((*call).getPayee)},
	{"POST", "/v1/accounts/{}/settlement", token.Pay, onDesk((*call).setPayee)},
	{"POST", "/v1/accounts/{}/settlement/fee-share", token.Operator, onDesk((*call).setFeeShare)},
	{"GET", "/v1/accounts/{}/settlement/items", token.Read, onDesk((*call).settledItems)},
	{"GET", "/v1/accounts/{}/imports", token.Read, onDesk((*call).listImports)},
	{"POST", "/v1/accounts/{}/imports", token.Pay, askDesk((*call).addImport)},
	{"GET", "/v1/accounts/{}/imports/{}", token.Read, onDesk((*call).getImport)},
	{"GET", "/v1/accounts/{}/imports/{}/result", token.Read, onDesk((*call).importResult)},
	{"GET", "/v1/settlement/rules", token.Operator, onDesk((*call).getRules)},
	{"POST", "/v1/settlement/rules", token.Operator, onDesk((*call).setRules)},
	{"GET", "/v1/settlement/plan", token.Operator, askDesk((*call).plan)},
	{"GET", "/v1/settlement/requests", token.Operator, onDesk((*call).listRequests)},
	{"POST", "/v1/settlement/requests/{}/{}/approve", token.Operator, onDesk((*call).approvePayout)},
	{"GET", "/v1/settlement/runs", token.Operator, onDesk((*call).listRuns)},
	{"POST", "/v1/settlement/runs", token.Operator, askDesk((*call).startRun)},
	{"GET", "/v1/settlement/runs/{}", token.Operator, onDesk((*call).getRun)},
	{"POST", "/v1/settlement/runs/{}/approve", token.Operator, onRun((*settle.Desk).Approve)},
	{"POST", "/v1/settlement/runs/{}/pause", token.Operator, onRun((*settle.Desk).Pause)},
	{"POST", "/v1/settlement/runs/{}/resume", token.Operator, onRun(resumeRun)},
	{"POST", "/v1/settlement/runs/{}/cancel", token.Operator, onRun((*settle.Desk).Cancel)},
	{"GET", "/v1/settlement/runs/{}/items", token.Operator, onDesk((*call).runItems)},
	{"GET", "/v1/settlement/runs/{}/result", token.Operator, onDesk((*call).runResult)},
	{"GET", "/v1/rails/payouts", token.Operator, onRails((*call).listPayouts)},
	{"POST", "/v1/rails/payouts/{}/{}/cancel", token.Operator, onRails((*call).cancelPayout)},
	{"POST", "/v1/rails/payouts/{}/{}/decide", token.Operator, onRails((*call).decidePayout)},
	{"GET", "/v1/rails/batches", token.Operator, onRails((*call).listOnchain)},
	{"POST", "/v1/rails/batches/{}/bump", token.Operator, onRails((*call).bumpBatch)},
	{"POST", "/v1/rails/batches/{}/abandon", token.Operator, onRails((*call).abandonBatch)},
	{"POST", "/v1/rails/flush", token.Operator, onRails((*call).flush)},
	{"GET", "/v1/rails/pause", token.Operator, onRails((*call).getPause)},
	{"POST", "/v1/rails/pause", token.Operator, onRails((*call).pausePayouts)},
	{"POST", "/v1/rails/resume", token.Operator, onRails((*call).resumePayouts)},
	{"GET", "/v1/rails/incidents", token.Operator, onRails((*call).listIncidents)},
	{"GET", "/v1/rails/reconciliation", token.Operator, onRails((*call).getReconciliation)},
	{"POST", "/v1/rails/reconciliation", token.Operator, askRails((*call).reconcile)},
	{"POST", "/v1/rails/adjustments", token.Operator, onRails((*call).adjust)},
	{"POST", "/v1/rails/incidents/close", token.Operator, onRails((*call).closeIncident)},
	{"GET", "/v1/rails/deposits", token.Operator, onRails((*call).listUnassigned)},
	{"POST", "/v1/rails/deposits/{}/assign", token.Operator, onRails((*call).assignDeposit)},
	{"GET", "/v1/webhooks", token.Operator, operatorHook((*call).listHooks)},
	{"POST", "/v1/webhooks", token.Operator, operatorHook((*call).addHook)},
	{"DELETE", "/v1/webhooks/{}", token.Operator, operatorHook((*call).removeHook)},
	{"POST", "/v1/webhooks/{}/rotate", token.Operator, operatorHook((*call).rotateHook)},
	{"POST", "/v1/webhooks/{}/replay", token.Operator, operatorHook((*call).replayHook)},
	{"GET", "/v1/webhooks/{}/parked", token.Operator, operatorHook((*call).parkedHook)},
	{"GET", "/v1/hub", public, (*call).getHub},
	{"GET", "/v1/hub/key", public, (*call).getHubKey},
	{"GET", "/healthz", public, (*call).getHealth},
	{"GET", "/readyz", public, (*call).getReadiness},
	{"GET", "/metrics", public, (*call).getMetrics},
	{"GET", "/openapi.yaml", public, (*call).getDocument},
}

// dispatch finds the route, checks the token, and has the request handled.
func (s *Server) dispatch(c *call) {
	path := c.ctx.URI().PathOriginal() // as sent: one spelling for each path, as in the document
	defer c.admit(path)
	if c.preflight(path) {
		return
	}
	r, p := c.route(c.ctx.Method(), path)
	if p == nil {
		p = c.authorize(r.scope)
	}
	if p == nil && c.grant.Only.Bound() && !strings.HasPrefix(r.path, unitPaths) {
		p = &problem{status: 403, code: "token_bound", detail: "the token is bound to units of a content, and does nothing else"}
	}
	if p == nil {
		p = r.handle(c)
	}
	if p != nil {
		p.write(c.ctx)
	}
}

// unitPaths is where a bound token counts.
const unitPaths = "/v1/contents/{}/units/"

func (c *call) route(method, path []byte) (*route, *problem) {
	var allow []string
	for i := range routes {
		r := &routes[i]
		names, ok := match(r.path, path)
		if !ok {
			continue
		}
		if string(method) == r.method {
			c.name, c.second = names[0], names[1]
			return r, nil
		}
		allow = append(allow, r.method)
	}
	if allow != nil {
		return nil, &problem{status: 405, code: "method_not_allowed", detail: "this path does not have this method", allow: strings.Join(allow, ", ")}
	}
	return nil, &problem{status: 404, code: "route_unknown", detail: "there is nothing at this path: see /openapi.yaml"}
}

// match says whether a path fits a pattern, and what stands for its {}, of which there are at most two.
func match(pattern string, path []byte) (names [2][]byte, ok bool) {
	for n := 0; ; n++ {
		before, rest, has := strings.Cut(pattern, "{}")
		before, many := strings.CutSuffix(before, "{*}")
		if !bytes.HasPrefix(path, []byte(before)) {
			return names, false
		}
		path = path[len(before):]
		switch {
		case many:
			names[n] = path
			return names, len(path) > 0
		case !has:
			return names, len(path) == 0
		}
		end := bytes.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if end == 0 || n == len(names) {
			return names, false
		}
		names[n], path, pattern = path[:end], path[end:], rest
	}
}

// authorize verifies the token and that it has the scope.
func (c *call) authorize(scope token.Scope) *problem {
	if scope == public {
		return nil
	}
	const scheme = "Bearer " // in any case: RFC 9110, section 11.1
	text := c.ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)
	if len(text) < len(scheme) || !strings.EqualFold(string(text[:len(scheme)]), scheme) {
		return &problem{status: 401, code: "token_missing", detail: "want a token: Authorization: Bearer ..."}
	}
	grant, err := c.hub.Verify(text[len(scheme):])
	if err != nil {
		return tokenProblem(err)
	}
	c.grant = grant
	if scope == token.Operator && !grant.Operator {
		return &problem{status: 403, code: "not_operator", detail: "only the operator's token may do this"}
	}
	if grant.Operator && scope != token.Operator && scope != token.Read {
		return &problem{status: 403, code: "no_account", detail: "the operator's token has no account of its own: use an account's token"}
	}
	if !grant.Scopes.Has(scope) {
		return &problem{status: 403, code: "scope_missing", detail: "the token does not have the scope " + scope.String()}
	}
	return nil
}

func tokenProblem(err error) *problem {
	p := problem{status: 401, code: "token_invalid", detail: "the token is not one of this hub's, or was changed"}
	switch {
	case errors.Is(err, token.ErrExpired):
		p.code, p.detail = "token_expired", "the token has expired"
	case errors.Is(err, token.ErrCaveat):
		p.code, p.detail = "token_caveat", "the token has a caveat that this hub does not know, which means no"
	}
	return &p
}

// within says whether the token may move an amount in one call.
func (c *call) within(amount ledger.Msat) *problem {
	if c.grant.MaxMsat != 0 && amount > c.grant.MaxMsat {
		return &problem{status: 403, code: "cap_exceeded", detail: "the token does not move as much in one call"}
	}
	return nil
}

// submit has the op of a body decided, if the body has nothing else. On a problem there is no outcome.
func (c *call) submit(body *object, op ledger.Op) (ledger.Applied, *problem) {
	if p := body.end(); p != nil {
		return ledger.Applied{}, p
	}
	c.batch.Reset()
	c.batch.Ops = append(c.batch.Ops, op)
	if p := c.submitBatch(); p != nil {
		return ledger.Applied{}, p
	}
	return c.outcome(c.batch.Out[0])
}

// pay is submit for what the token's cap is held against.
func (c *call) pay(body *object, op ledger.Op) (ledger.Applied, *problem) {
	return c.payWith(body, op, nil)
}

// payWith is pay for an op with a detail.
func (c *call) payWith(body *object, op ledger.Op, detail []byte) (ledger.Applied, *problem) {
	if p := body.end(); p != nil {
		return ledger.Applied{}, p
	}
	if p := c.within(c.worth(&op)); p != nil {
		return ledger.Applied{}, p
	}
	c.batch.Reset()
	c.batch.Ops, c.batch.Detail = append(c.batch.Ops, op), append(c.batch.Detail, detail...)
	if p := c.submitBatch(); p != nil {
		return ledger.Applied{}, p
	}
	return c.outcome(c.batch.Out[0])
}

func (c *call) submitBatch() *problem {
	if err := c.hub.Submit(&c.batch); err != nil {
		return c.failed(err)
	}
	return nil
}

// failed keeps a batch out of the pool whose ops may still be on their way.
func (c *call) failed(err error) *problem {
	c.lost = errors.Is(err, hub.ErrUnknown)
	if !errors.Is(err, hub.ErrOverload) && !errors.Is(err, hub.ErrClosed) && !errors.Is(err, hub.ErrNoSpace) { // those are counted, and can be many
		c.server.cfg.Logger.Error("request failed", "path", string(c.ctx.Path()), "err", err)
	}
	return cannotNow(err)
}

func (c *call) outcome(a ledger.Applied) (ledger.Applied, *problem) {
	if !a.Result().OK() {
		return a, refusal(a.Result())
	}
	return a, nil
}

// answer sends the body that was gathered in c.out.
func (c *call) answer(status int) *problem {
	c.ctx.SetStatusCode(status)
	c.ctx.SetContentType("application/json")
	c.ctx.Response.SetBody(c.out)
	return nil
}

// made is 201 for what this request made, 200 for what an earlier one did.
func made(a ledger.Applied) int {
	if a.Result() == ledger.Done {
		return 201
	}
	return 200
}
