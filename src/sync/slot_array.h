// An array by slot that grows in pieces: no element ever moves, so that growing costs the same at a million
// slots as at a thousand, and a lone high slot costs one piece and not all below it. What was never touched
// reads as T{}. It never shrinks.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "wire/flow_record.h"

namespace carpd {

template <class T>
class SlotArray {
 public:
    // The element, made if it wasn't there. The caller bounds the slot.
    T& operator[](Slot slot) {
        const std::size_t piece = slot / kPiece;
        if (piece >= pieces_.size()) pieces_.resize(piece + 1);
        if (!pieces_[piece]) {
            pieces_[piece] = std::make_unique<T[]>(kPiece);
            ++made_;
        }
        return pieces_[piece][slot % kPiece];
    }
    T get(Slot slot) const {
        const std::size_t piece = slot / kPiece;
        return piece < pieces_.size() && pieces_[piece] ? pieces_[piece][slot % kPiece] : T{};
    }
    std::size_t memory() const { return made_ * kPiece * sizeof(T) + pieces_.capacity() * sizeof(void*); }

 private:
    static constexpr std::size_t kPiece = 4096;

    std::vector<std::unique_ptr<T[]>> pieces_;
    std::size_t made_ = 0;
};

}  // namespace carpd
