package api

import (
	"strconv"

	"github.com/millrace/millrace/hub"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// getHub says what the hub is.
func (c *call) getHub() *problem {
	p := c.hub.Params()
	c.begin("origin")
	c.quote(c.hub.Origin())
	c.next("version")
	c.quote(c.server.cfg.Version)
	c.next("registration")
	c.quote(string(c.server.cfg.Registration))
	c.next("dev")
	c.out = strconv.AppendBool(c.out, c.hub.Dev())
	c.next("fee_ppm")
	c.uint(uint64(p.FeePPM))
	c.next("max_batch_ops")
	c.uint(hub.MaxBatchOps)
	c.next("id_window_ms")
	c.uint(p.IDWindow)
	c.next("id_ahead_ms")
	c.uint(p.IDAhead)
	c.end()
	return c.answer(200)
}

// getHubKey is all that a creator needs to seal offline.
func (c *call) getHubKey() *problem {
	keys := c.hub.SealingKeys() // oldest first
	active := keys[len(keys)-1]
	c.begin("key_id")
	c.quote(active.ID())
	c.next("public_key")
	c.quote(active.String())
	c.next("origin")
	c.quote(c.hub.Origin())
	c.next("earlier")
	c.out = append(c.out, '[')
	for i := len(keys) - 2; i >= 0; i-- {
		if c.quote(keys[i].String()); i > 0 {
			c.out = append(c.out, ',')
		}
	}
	c.out = append(c.out, ']')
	c.end()
	return c.answer(200)
}

// getHealth says that the process lives.
func (c *call) getHealth() *problem {
	c.begin("status")
	c.quote("ok")
	c.end()
	return c.answer(200)
}

// getReadiness says whether the hub takes payments. It does without its nodes, too.
func (c *call) getReadiness() *problem {
	select {
	case <-c.hub.Dead():
		return cannotNow(hub.ErrUnknown)
	default:
	}
	if c.server.draining.Load() {
		return cannotNow(hub.ErrClosed)
	}
	if c.hub.Full() {
		return cannotNow(hub.ErrNoSpace)
	}
	if lost := c.server.lostNodes(); lost != nil {
		return c.answerJSON(200, struct {
			Status string     `json:"status"`
			Lost   []lostNode `json:"lost"`
		}{"degraded", lost})
	}
	c.begin("status")
	c.quote("ready")
	c.end()
	return c.answer(200)
}

func (c *call) getDocument() *problem {
	c.ctx.SetContentType("application/yaml")
	c.ctx.Response.SetBodyRaw(document)
	return nil
}

func (c *call) getMetrics() *problem {
	c.server.metrics(c.ctx)
	return nil
}

func metricsHandler(g prometheus.Gatherer) fasthttp.RequestHandler {
	return fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
}
