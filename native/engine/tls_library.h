// The functions of OpenSSL 3 that the engine calls, resolved at run time into one table: Node exports its OpenSSL to
// addons, and one binary then runs with that of every Node version. Linking libssl instead would bring a second copy
// into the process and a version to keep up to date. The price is that types, prototypes and constants are declared
// here; where OpenSSL's headers are installed, a test compares each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tls_constants.h"

// OpenSSL's opaque types by their tags, which are part of its ABI (openssl/types.h).
struct bio_method_st;
struct bio_st;
struct engine_st;
struct evp_cipher_ctx_st;
struct evp_cipher_st;
struct evp_mac_ctx_st;
struct evp_md_st;
struct evp_pkey_st;
struct ossl_param_st;
struct ssl_cipher_st;
struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_session_st;
struct ssl_st;
struct X509_VERIFY_PARAM_st;
struct x509_st;
struct X509_pubkey_st;
struct x509_store_ctx_st;
struct x509_store_st;

namespace millrace {

using BIO = bio_st;
using BIO_METHOD = bio_method_st;
using ENGINE = engine_st;
using EVP_CIPHER = evp_cipher_st;
using EVP_CIPHER_CTX = evp_cipher_ctx_st;
using EVP_MAC_CTX = evp_mac_ctx_st;
using EVP_MD = evp_md_st;
using EVP_PKEY = evp_pkey_st;
using OSSL_PARAM = ossl_param_st;
using SSL = ssl_st;
using SSL_CIPHER = ssl_cipher_st;
using SSL_CTX = ssl_ctx_st;
using SSL_METHOD = ssl_method_st;
using SSL_SESSION = ssl_session_st;
using X509 = x509_st;
using X509_PUBKEY = X509_pubkey_st;
using X509_STORE = x509_store_st;
using X509_STORE_CTX = x509_store_ctx_st;
using X509_VERIFY_PARAM = X509_VERIFY_PARAM_st;

// F(result, name, parameters): each as its man page has it.
#define MILLRACE_OPENSSL_FUNCTIONS(F)                                                                          \
  F(unsigned long, OpenSSL_version_num, ())                                                                    \
  F(void, ERR_clear_error, ())                                                                                 \
  F(unsigned long, ERR_peek_error, ())                                                                         \
  F(const char*, ERR_reason_error_string, (unsigned long))                                                     \
  F(int, RAND_bytes, (unsigned char*, int))                                                                    \
  F(void, OPENSSL_cleanse, (void*, size_t))                                                                    \
  F(BIO_METHOD*, BIO_meth_new, (int, const char*))                                                             \
  F(int, BIO_meth_set_write, (BIO_METHOD*, int (*)(BIO*, const char*, int)))                                   \
  F(int, BIO_meth_set_read, (BIO_METHOD*, int (*)(BIO*, char*, int)))                                          \
  F(int, BIO_meth_set_ctrl, (BIO_METHOD*, long (*)(BIO*, int, long, void*)))                                   \
  F(int, BIO_get_new_index, ())                                                                                \
  F(BIO*, BIO_new, (const BIO_METHOD*))                                                                        \
  F(BIO*, BIO_new_mem_buf, (const void*, int))                                                                 \
  F(int, BIO_free, (BIO*))                                                                                     \
  F(void, BIO_set_data, (BIO*, void*))                                                                         \
  F(void*, BIO_get_data, (BIO*))                                                                               \
  F(void, BIO_set_init, (BIO*, int))                                                                           \
  F(void, BIO_set_flags, (BIO*, int))                                                                          \
  F(void, BIO_clear_flags, (BIO*, int))                                                                        \
  F(X509*, PEM_read_bio_X509, (BIO*, X509**, int (*)(char*, int, int, void*), void*))                          \
  F(EVP_PKEY*, PEM_read_bio_PrivateKey, (BIO*, EVP_PKEY**, int (*)(char*, int, int, void*), void*))            \
  F(void, EVP_PKEY_free, (EVP_PKEY*))                                                                          \
  F(void, X509_free, (X509*))                                                                                  \
  F(X509_PUBKEY*, X509_get_X509_PUBKEY, (const X509*))                                                         \
  F(int, i2d_X509_PUBKEY, (const X509_PUBKEY*, unsigned char**))                                               \
  F(int, i2d_X509, (const X509*, unsigned char**))                                                             \
  F(const char*, X509_verify_cert_error_string, (long))                                                        \
  F(X509_STORE*, X509_STORE_new, ())                                                                           \
  F(void, X509_STORE_free, (X509_STORE*))                                                                      \
  F(int, X509_STORE_add_cert, (X509_STORE*, X509*))                                                            \
  F(int, X509_STORE_set_flags, (X509_STORE*, unsigned long))                                                   \
  F(X509*, X509_STORE_CTX_get0_cert, (const X509_STORE_CTX*))                                                  \
  F(void, X509_STORE_CTX_set_error, (X509_STORE_CTX*, int))                                                    \
  F(int, X509_VERIFY_PARAM_set1_host, (X509_VERIFY_PARAM*, const char*, size_t))                               \
  F(int, X509_VERIFY_PARAM_set1_ip_asc, (X509_VERIFY_PARAM*, const char*))                                     \
  F(void, X509_VERIFY_PARAM_set_hostflags, (X509_VERIFY_PARAM*, unsigned int))                                 \
  F(const EVP_MD*, EVP_sha256, ())                                                                             \
  F(int, EVP_Digest, (const void*, size_t, unsigned char*, unsigned int*, const EVP_MD*, ENGINE*))             \
  F(unsigned char*, HMAC,                                                                                      \
    (const EVP_MD*, const void*, int, const unsigned char*, size_t, unsigned char*, unsigned int*))            \
  F(const EVP_CIPHER*, EVP_aes_256_cbc, ())                                                                    \
  F(int, EVP_EncryptInit_ex,                                                                                   \
    (EVP_CIPHER_CTX*, const EVP_CIPHER*, ENGINE*, const unsigned char*, const unsigned char*))                 \
  F(int, EVP_DecryptInit_ex,                                                                                   \
    (EVP_CIPHER_CTX*, const EVP_CIPHER*, ENGINE*, const unsigned char*, const unsigned char*))                 \
  F(int, EVP_MAC_CTX_set_params, (EVP_MAC_CTX*, const OSSL_PARAM*))                                            \
  F(const SSL_METHOD*, TLS_server_method, ())                                                                  \
  F(const SSL_METHOD*, TLS_client_method, ())                                                                  \
  F(SSL_CTX*, SSL_CTX_new, (const SSL_METHOD*))                                                                \
  F(void, SSL_CTX_free, (SSL_CTX*))                                                                            \
  F(uint64_t, SSL_CTX_set_options, (SSL_CTX*, uint64_t))                                                       \
  F(long, SSL_CTX_ctrl, (SSL_CTX*, int, long, void*))                                                          \
  F(int, SSL_CTX_set_cipher_list, (SSL_CTX*, const char*))                                                     \
  F(int, SSL_CTX_set_ciphersuites, (SSL_CTX*, const char*))                                                    \
  F(int, SSL_CTX_use_certificate, (SSL_CTX*, X509*))                                                           \
  F(int, SSL_CTX_use_PrivateKey, (SSL_CTX*, EVP_PKEY*))                                                        \
  F(int, SSL_CTX_check_private_key, (const SSL_CTX*))                                                          \
  F(void, SSL_CTX_set_cert_store, (SSL_CTX*, X509_STORE*))                                                     \
  F(void, SSL_CTX_set_verify, (SSL_CTX*, int, int (*)(int, X509_STORE_CTX*)))                                  \
  F(void, SSL_CTX_set_cert_verify_callback, (SSL_CTX*, int (*)(X509_STORE_CTX*, void*), void*))                \
  F(void, SSL_CTX_set_alpn_select_cb,                                                                          \
    (SSL_CTX*, int (*)(SSL*, const unsigned char**, unsigned char*, const unsigned char*, unsigned, void*), void*)) \
  F(int, SSL_CTX_set_alpn_protos, (SSL_CTX*, const unsigned char*, unsigned int))                              \
  F(void, SSL_CTX_set_client_hello_cb, (SSL_CTX*, int (*)(SSL*, int*, void*), void*))                          \
  F(int, SSL_CTX_set_session_id_context, (SSL_CTX*, const unsigned char*, unsigned int))                       \
  F(void, SSL_CTX_sess_set_new_cb, (SSL_CTX*, int (*)(SSL*, SSL_SESSION*)))                                    \
  F(long, SSL_CTX_set_timeout, (SSL_CTX*, long))                                                               \
  F(int, SSL_CTX_set_num_tickets, (SSL_CTX*, size_t))                                                          \
  F(int, SSL_CTX_set_max_early_data, (SSL_CTX*, uint32_t))                                                     \
  F(int, SSL_CTX_set_tlsext_ticket_key_evp_cb,                                                                 \
    (SSL_CTX*, int (*)(SSL*, unsigned char*, unsigned char*, EVP_CIPHER_CTX*, EVP_MAC_CTX*, int)))             \
  F(SSL*, SSL_new, (SSL_CTX*))                                                                                 \
  F(void, SSL_free, (SSL*))                                                                                    \
  F(void, SSL_set_bio, (SSL*, BIO*, BIO*))                                                                     \
  F(int, SSL_set_ex_data, (SSL*, int, void*))                                                                  \
  F(void*, SSL_get_ex_data, (const SSL*, int))                                                                 \
  F(SSL_CTX*, SSL_set_SSL_CTX, (SSL*, SSL_CTX*))                                                               \
  F(int, SSL_set_num_tickets, (SSL*, size_t))                                                                  \
  F(int, SSL_client_hello_get0_ext, (SSL*, unsigned int, const unsigned char**, size_t*))                      \
  F(long, SSL_ctrl, (SSL*, int, long, void*))                                                                  \
  F(void, SSL_set_accept_state, (SSL*))                                                                        \
  F(void, SSL_set_connect_state, (SSL*))                                                                       \
  F(X509_VERIFY_PARAM*, SSL_get0_param, (SSL*))                                                                \
  F(int, SSL_do_handshake, (SSL*))                                                                             \
  F(int, SSL_read_ex, (SSL*, void*, size_t, size_t*))                                                          \
  F(int, SSL_write_ex, (SSL*, const void*, size_t, size_t*))                                                   \
  F(int, SSL_shutdown, (SSL*))                                                                                 \
  F(void, SSL_set_shutdown, (SSL*, int))                                                                       \
  F(int, SSL_get_error, (const SSL*, int))                                                                     \
  F(int, SSL_pending, (const SSL*))                                                                            \
  F(int, SSL_key_update, (SSL*, int))                                                                          \
  F(int, SSL_free_buffers, (SSL*))                                                                             \
  F(int, SSL_version, (const SSL*))                                                                            \
  F(long, SSL_get_verify_result, (const SSL*))                                                                 \
  F(int, SSL_session_reused, (const SSL*))                                                                     \
  F(const SSL_CIPHER*, SSL_get_current_cipher, (const SSL*))                                                   \
  F(const char*, SSL_CIPHER_get_name, (const SSL_CIPHER*))                                                     \
  F(void, SSL_get0_alpn_selected, (const SSL*, const unsigned char**, unsigned int*))                          \
  F(int, SSL_set_session, (SSL*, SSL_SESSION*))                                                                \
  F(SSL_SESSION*, SSL_get1_session, (SSL*))                                                                    \
  F(int, SSL_SESSION_is_resumable, (const SSL_SESSION*))                                                       \
  F(void, SSL_SESSION_free, (SSL_SESSION*))

// Where the functions come from.
enum class TlsSource : uint8_t {
  Process,  // what the running program exports, and nothing else: Node
  System,   // the same, or else the system's libssl.so.3 and libcrypto.so.3: the engine's own tests
};

struct TlsLibrary {
#define MILLRACE_OPENSSL_MEMBER(result, name, parameters) result(*name) parameters = nullptr;
  MILLRACE_OPENSSL_FUNCTIONS(MILLRACE_OPENSSL_MEMBER)
#undef MILLRACE_OPENSSL_MEMBER

  // That of tls_bio.h.
  BIO_METHOD* bio_method = nullptr;
};

// The table, or null when there is none, and `problem` then says what is missing. Looked up once for each source.
const TlsLibrary* tls_library(TlsSource source, std::string& problem);
// The one table of the process, once there is one: for OpenSSL's callbacks, which are handed nothing that leads to it.
const TlsLibrary& loaded_tls_library();

}  // namespace millrace
