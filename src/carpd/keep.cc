#include "carpd/keep.h"

#include <malloc.h>

namespace carpd {

std::shared_ptr<const Config> keep(ConfigFile file) {
    malloc_trim(0);  // joins the free space
    auto config = std::make_shared<const Config>(file.config);
    file = {};
    return config;
}

}  // namespace carpd
