// OpenSSL's constants, which its ABI fixes for all of version 3, under the headers that define them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace {

namespace openssl {
// openssl/ssl.h
inline constexpr int kErrorSsl = 1;
inline constexpr int kErrorWantRead = 2;
inline constexpr int kErrorWantWrite = 3;
inline constexpr int kErrorZeroReturn = 6;
inline constexpr int kCtrlMode = 33;
inline constexpr int kCtrlSessionCacheMode = 44;
inline constexpr int kCtrlServerName = 55;
inline constexpr int kCtrlClearMode = 78;
inline constexpr int kCtrlChainCertificate = 89;
inline constexpr int kCtrlMinVersion = 123;
inline constexpr int kCtrlMaxVersion = 124;
inline constexpr long kModePartialWrite = 0x1;
inline constexpr long kModeMovingBuffer = 0x2;
inline constexpr long kModeAutoRetry = 0x4;
inline constexpr long kModeReleaseBuffers = 0x10;
inline constexpr long kSessionCacheOff = 0x0;
inline constexpr long kSessionCacheClient = 0x1;
inline constexpr long kSessionCacheNoInternal = 0x300;
inline constexpr uint64_t kNoTicket = uint64_t{1} << 14;
inline constexpr uint64_t kNoCompression = uint64_t{1} << 17;
inline constexpr uint64_t kPrioritizeChacha = uint64_t{1} << 21;
inline constexpr uint64_t kServerPreference = uint64_t{1} << 22;
inline constexpr uint64_t kNoRenegotiation = uint64_t{1} << 30;
inline constexpr int kVerifyNone = 0;
inline constexpr int kVerifyPeer = 1;
inline constexpr int kSentShutdown = 1;
inline constexpr int kReceivedShutdown = 2;
inline constexpr int kHelloError = 0;
inline constexpr int kHelloSuccess = 1;
inline constexpr int kKeyUpdateNotRequested = 0;
// openssl/tls1.h
inline constexpr long kTls12 = 0x0303;
inline constexpr long kTls13 = 0x0304;
inline constexpr int kExtensionServerName = 0;
inline constexpr int kNameTypeHost = 0;
inline constexpr int kCallbackOk = 0;
inline constexpr int kCallbackFatal = 2;
inline constexpr int kAlertUnrecognizedName = 112;
// openssl/sslerr.h, openssl/err.h
inline constexpr int kReasonNoSharedCipher = 193;
inline constexpr int kReasonHttpsProxyRequest = 155;
inline constexpr int kReasonHttpRequest = 156;
inline constexpr int kReasonNoProtocols = 191;
inline constexpr int kReasonNoApplicationProtocol = 235;
inline constexpr int kReasonUnsupportedProtocol = 258;
inline constexpr int kReasonWrongVersion = 267;
inline constexpr int kReasonVersionTooLow = 396;
inline constexpr int kReasonVerifyFailed = 134;
inline constexpr int kReasonAlert = 1000;
inline constexpr unsigned long kReasonMask = 0x7fffff;
inline constexpr unsigned long kSystemError = 0x80000000;
// openssl/bio.h
inline constexpr int kBioSource = 0x0400;
inline constexpr int kBioRead = 0x01;
inline constexpr int kBioRetry = 0x08;
inline constexpr int kBioRetryFlags = 0x0f;
inline constexpr int kBioFlush = 11;
// openssl/x509_vfy.h, openssl/x509v3.h
inline constexpr long kVerifyOk = 0;
inline constexpr long kNoIssuer = 2;
inline constexpr long kNotYetValid = 9;
inline constexpr long kExpired = 10;
inline constexpr long kSelfSigned = 18;
inline constexpr long kSelfSignedInChain = 19;
inline constexpr long kNoLocalIssuer = 20;
inline constexpr long kNoLeafIssuer = 21;
inline constexpr long kApplicationVerification = 50;
inline constexpr long kHostMismatch = 62;
inline constexpr long kAddressMismatch = 64;
inline constexpr unsigned kNoPartialWildcards = 0x4;
inline constexpr unsigned long kPartialChain = 0x80000;
// openssl/core.h
inline constexpr unsigned kParameterText = 4;
inline constexpr unsigned kParameterBytes = 5;
// openssl/evp.h
inline constexpr size_t kTicketNameBytes = 16;
inline constexpr int kBlockIvBytes = 16;
}  // namespace openssl

}  // namespace millrace
