"""A connection that sends requests as they are, right or wrong, and says how the server took them."""
import http.client
import shlex
import socket
import threading

HOST = "rollcall.example.org"


class Answer:
    def __init__(self, response, is_head):
        self.is_head = is_head
        self.status = response.status
        self.headers = [(k.lower(), v) for k, v in response.getheaders()]
        self.body = response.read()
        self.closes = response.will_close

    def header(self, name):
        return next((v for k, v in self.headers if k == name.lower()), None)


def ansi(text):
    """Bytes as a word of a shell, also those that no terminal shows."""
    if all(32 <= b < 127 for b in text):
        return shlex.quote(text.decode())
    return "$'" + "".join(chr(b) if 32 <= b < 127 and chr(b) not in "'\\" else f"\\x{b:02x}" for b in text) + "'"


def wire(text):
    """As bytes; what is no Latin-1 as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def curl(request, port):
    words = ["curl -sSi --path-as-is -g " + ("-I -X" if request.method == "HEAD" else "-X"), request.method]
    for name, value in request.headers:
        words += ["-H", ansi(wire(f"{name}: {value}" if value else f"{name};"))]
    if request.chunked:
        words += ["-H", "'Transfer-Encoding: chunked'"]
    if request.body is not None:
        shown = request.body[:4000]
        words += ["--data-binary", ansi(shown)]
        if len(shown) < len(request.body):
            words.append(f"# and {len(request.body) - len(shown)} bytes more")
    words.insert(2, ansi(wire(f"http://127.0.0.1:{port}{request.target}")))
    return " ".join(words)


class Connection:
    """One that is kept open for as long as the server says."""

    def __init__(self, port):
        self.port = port
        self.socket = None
        self.opened = 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def message(self, request):
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {HOST}"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        body = request.body
        if request.chunked:
            lines.append("Transfer-Encoding: chunked")
            step = max(1, len(body) // 3)
            pieces = [body[i:i + step] for i in range(0, len(body), step)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        elif body is not None or request.method in ("PUT", "POST", "PATCH"):
            lines.append(f"Content-Length: {len(body or b'')}")
        return b"\r\n".join(wire(line) for line in lines) + b"\r\n\r\n" + (body or b"")

    def send(self, request):
        """Raises OSError or HTTPException where no whole answer comes."""
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened += 1
        message = self.message(request)
        # an answer may come before the request is sent whole
        sender = threading.Thread(target=self.push, args=(self.socket, message)) if len(message) > 60000 else None
        if sender:
            sender.start()
        else:
            self.socket.sendall(message)
        try:
            response = http.client.HTTPResponse(self.socket, method=request.method)
            response.begin()
            answer = Answer(response, request.method == "HEAD")
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        finally:
            if sender and self.socket is None:
                sender.join()
        if answer.closes:
            self.close()
        if sender:
            sender.join()
        return answer

    @staticmethod
    def push(sock, message):
        try:
            sock.sendall(message)
        except OSError:
            pass  # the answer says why
