// See secret.h.
#include "services/gateway/principals/secret.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { RSA_BITS = 2048 };

// The line without its end.
static int read_line(struct buf *ret, struct error *err)
{
    char c;
    ssize_t got;
    while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        buf_add_char(ret, c);
    if (got < 0)
        return error_set(err, -EIO, "the password cannot be read: %s", strerror(errno));
    if (ret->n && ret->p[ret->n - 1] == '\r')
        ret->p[--ret->n] = '\0';
    if (ret->n == 0 || ret->n >= CRYPT_MAX_PASSPHRASE_SIZE || str_has_char(buf_str(ret), '\0'))
        return error_set(err, -EINVAL, "a password has 1 to %d bytes and no NUL",
                         CRYPT_MAX_PASSPHRASE_SIZE - 1);
    return 0;
}

// A signal waits until the terminal shows again what is typed.
static int ask_unseen(const char *prompt, struct buf *ret, struct error *err)
{
    struct termios before, unseen;
    sigset_t all, mask;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return error_set(err, -EIO, "the terminal: %s", strerror(errno));
    unseen = before;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &mask);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen); // before the prompt, whose answer it would throw away
    (void)fputs(prompt, stderr);
    int rc = read_line(ret, err);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputs("\n", stderr);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    return rc;
}

int secret_ask_password(struct buf *ret, struct error *err)
{
    if (!isatty(STDIN_FILENO))
        return read_line(ret, err);
    struct buf again cleanup(buf_done) = BUF_INIT;
    int rc = ask_unseen("Password: ", ret, err);
    if (!rc)
        rc = ask_unseen("Again: ", &again, err);
    if (!rc && !str_eq(buf_str(ret), buf_str(&again)))
        rc = error_set(err, -EINVAL, "the two passwords differ");
    mem_wipe(again.p, again.n);
    return rc;
}

void secret_hash(struct buf *out, const char *text)
{
    struct crypt_data *data = mem_alloc(sizeof(*data));
    char *setting cleanup(mem_free_cstr) = crypt_gensalt_ra(NULL, 0, NULL, 0);
    const char *made = setting ? crypt_r(text, setting, data) : NULL;
    if (!made || made[0] == '*')
        abort(); // memory, or a machine without any method
    buf_add_cstr(out, made);
    mem_wipe(data, sizeof(*data));
    free(data);
}

void secret_hash_credentials(struct buf *out, const char *digest_name, const char *username,
                             const char *password)
{
    struct buf pair cleanup(buf_done) = BUF_INIT, hex cleanup(buf_done) = BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t count = 0;
    buf_addf(&pair, "%s:%s", username, password);
    if (EVP_Q_digest(NULL, digest_name, NULL, pair.p, pair.n, digest, &count) != 1)
        abort(); // OpenSSL without that digest
    encode_hex(&hex, digest, count);
    secret_hash(out, hex.p);
    mem_wipe(pair.p, pair.n);
    mem_wipe(hex.p, hex.n);
}

static void take_pem(struct buf *out, BIO *bio)
{
    char *text = NULL;
    long count = BIO_get_mem_data(bio, &text);
    buf_add(out, text, (size_t)count);
    mem_wipe(text, (size_t)count);
    BIO_free(bio);
}

void secret_make_pair(struct buf *private_pem, struct buf *public_pem)
{
    EVP_PKEY *pair = EVP_RSA_gen(RSA_BITS);
    BIO *private_half = BIO_new(BIO_s_mem()), *public_half = BIO_new(BIO_s_mem());
    if (!pair || !private_half || !public_half ||
        PEM_write_bio_PKCS8PrivateKey(private_half, pair, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_PUBKEY(public_half, pair) != 1)
        abort(); // memory, or no random numbers
    take_pem(private_pem, private_half);
    take_pem(public_pem, public_half);
    EVP_PKEY_free(pair);
}

int secret_write_file(const char *path, struct str text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    ssize_t sent = write(fd, text.p, text.n);
    bool whole = sent == (ssize_t)text.n && fsync(fd) == 0;
    (void)close(fd);
    if (whole)
        return 0;
    (void)unlink(path);
    return error_set(err, -EIO, "%s cannot be written", path);
}
