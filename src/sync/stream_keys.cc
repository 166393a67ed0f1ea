#include "sync/stream_keys.h"

namespace carpd {

namespace {

constexpr std::string_view kHelloLabel = "carpd sync 1 hello", kDataLabel = "carpd sync 1 data";

Secret stream_secret(const Secret& configured, StreamId stream, const StreamNonce& nonce) {
    std::uint8_t salt[sizeof stream + sizeof nonce];
    ByteWriter writer(salt);
    writer.u64(stream);
    writer.bytes(nonce);
    return extract_secret(salt, configured);
}

Secret data_key(const Secret& secret, std::uint64_t epoch) {
    std::uint8_t label[kDataLabel.size() + sizeof epoch];
    ByteWriter writer(label);
    for (const char c : kDataLabel) writer.u8(static_cast<std::uint8_t>(c));
    writer.u64(epoch);
    return expand_secret(secret, {reinterpret_cast<const char*>(label), sizeof label});
}

}  // namespace

StreamKeys::StreamKeys(const Secret& configured, StreamId stream, const StreamNonce& nonce)
    : secret_(stream_secret(configured, stream, nonce)), hello_(expand_secret(secret_, kHelloLabel)) {}

const Aead& StreamKeys::data(std::uint64_t epoch) {
    auto& kept = epochs_[epoch % epochs_.size()];
    if (!kept || kept->number != epoch) kept.emplace(Epoch{epoch, Aead(data_key(secret_, epoch))});
    return kept->aead;
}

}  // namespace carpd
