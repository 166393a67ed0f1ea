// Any JSON as an answer of carpd's: shown, or refused by the exception that the header promises.
#include "carpctl/explain.h"
#include "carpctl/render.h"
#include "carpctl/render_pools.h"
#include "carpctl/render_sync.h"

namespace {

template <class Render>
void try_to(Render render) {
    try {
        static_cast<void>(render());
    } catch (const nlohmann::json::exception&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const auto json = nlohmann::ordered_json::parse(data, data + size, nullptr, false);
    const Paint paint(true);
    try_to([&] { return render_overview(json, paint); });
    try_to([&] { return render_change(json, paint); });
    try_to([&] { return render_client(json, paint); });
    try_to([&] { return render_sync_status(json, paint); });
    try_to([&] { return render_sync_flow(json, paint); });
    const Facts facts{json, json};  // of either kind, with what the other has
    try_to([&] { return render_explanation(facts, true, paint); });
    try_to([&] { return explanation(facts); });
    try_to([&] {
        for (const auto& group : json.at("groups")) try_to([&] { return render_group(group, paint); });
        return 0;
    });
    return 0;
}
