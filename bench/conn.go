package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// The bounds of an answer: its head, and its whole.
const (
	maxHead   = 16 << 10
	maxAnswer = 4 << 20
)

// maxIdle is how long a connection may lie idle before it is opened anew: well below the 90 s after which the API hangs up.
const maxIdle = 30 * time.Second

// overtime is how long after a turn an answer may still come.
const overtime = 30 * time.Second

// errAnswer is returned, wrapped, for bytes that are no answer as this client understands them.
var errAnswer = errors.New("not an answer")

// conn is one keep-alive connection of a client that does nothing but what a load needs: whole requests are written as they
// are, and of an answer the status, Content-Length and the body are read. net/http's client takes several times the CPU of
// the server that is to be measured, on the same cores.
type conn struct {
	addr  string
	net   net.Conn
	until time.Time // the end of its last turn
	buf   []byte
	have  int // bytes in buf
	used  int // of them those of the last answer
}

func dial(addr string) (*conn, error) {
	n, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{addr: addr, net: n, until: time.Now(), buf: make([]byte, 4096)}, nil
}

// turn lets the connection be used for some time from now on. Others may have had their turns since its last: if that took long, it
// is opened anew.
func (c *conn) turn(d time.Duration) error {
	if time.Since(c.until) > maxIdle {
		fresh, err := dial(c.addr)
		if err != nil {
			return fmt.Errorf("connecting again: %w", err)
		}
		err = c.close()
		if *c = *fresh; err != nil {
			return fmt.Errorf("hanging up: %w", err)
		}
	}
	c.until = time.Now().Add(d)
	return c.net.SetDeadline(c.until.Add(overtime))
}

// do sends a request and reads its answer. The body is valid until the next call.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.net.Write(request); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

func (c *conn) answer() (status int, body []byte, err error) {
	c.have = copy(c.buf, c.buf[c.used:c.have])
	c.used = 0
	head := -1
	for searched := 0; ; {
		if i := bytes.Index(c.buf[searched:c.have], []byte("\r\n\r\n")); i >= 0 {
			head = searched + i + 4
			break
		}
		searched = max(0, c.have-3)
		if c.have > maxHead {
			return 0, nil, fmt.Errorf("%w: a head of more than %d bytes", errAnswer, maxHead)
		}
		if err := c.read(); err != nil {
			return 0, nil, err
		}
	}
	status, length, err := parseHead(c.buf[:head])
	if err != nil {
		return 0, nil, err
	}
	for c.have < head+length {
		if len(c.buf) < head+length {
			c.buf = append(make([]byte, 0, head+length), c.buf[:c.have]...)[:head+length]
		}
		if err := c.read(); err != nil {
			return 0, nil, err
		}
	}
	c.used = head + length
	return status, c.buf[head:c.used], nil
}

// read takes in what has come, at least one byte.
func (c *conn) read() error {
	if c.have == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.net.Read(c.buf[c.have:])
	c.have += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: an empty read", errAnswer)
	}
	return fmt.Errorf("the server hung up: %w", err)
}

// parseHead reads a status line and the lines behind it, up to the empty one.
func parseHead(head []byte) (status, length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("%w: it begins with %.40q", errAnswer, line)
	}
	if status, err = digits(line[9:12]); err != nil || len(line) > 12 && line[12] != ' ' {
		return 0, 0, fmt.Errorf("%w: status line %.40q", errAnswer, line)
	}
	length = -1
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		if length, err = digits(bytes.TrimSpace(value)); err != nil || length > maxAnswer {
			return 0, 0, fmt.Errorf("%w: Content-Length %.40q", errAnswer, value)
		}
	}
	if length < 0 {
		return 0, 0, fmt.Errorf("%w: no Content-Length", errAnswer)
	}
	return status, length, nil
}

// digits is strconv.Atoi for bytes, and without signs.
func digits(b []byte) (n int, err error) {
	if len(b) == 0 || len(b) > 9 {
		return 0, errAnswer
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, errAnswer
		}
		n = 10*n + int(d-'0')
	}
	return n, nil
}

func (c *conn) close() error { return c.net.Close() }
