// Memory for flows: cells of 2 to 15 units of 16 bytes. Cells of one size stand side by side without gaps:
// the last one moves to where one was removed. So the memory is what the present cells need, whatever sizes
// there were before.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"

namespace carpd {

// A cell's name until it is removed or moves: its units in the highest 4 bits, its place below. Never below
// 2 << 28.
using CellNumber = std::uint32_t;

class Cells {
 public:
    static constexpr std::uint32_t kUnit = 16, kLeastUnits = 2, kMostUnits = 15;
    static constexpr std::uint32_t kMaxPlace = (1u << 28) - 1;

    static std::uint32_t units_for(std::size_t bytes) {
        const auto units = static_cast<std::uint32_t>((bytes + kUnit - 1) / kUnit);
        CARPD_ASSERT(units <= kMostUnits);
        return std::max(units, kLeastUnits);
    }
    static std::uint32_t units(CellNumber cell) { return cell >> 28; }

    // Its bytes are anything.
    CellNumber add(std::uint32_t units) {
        Size& size = sizes_[units];
        CARPD_ASSERT(size.used <= kMaxPlace);
        if (size.used == size.pieces.size() * kPiece)
            size.pieces.push_back(std::make_unique<std::uint8_t[]>(kPiece * units * kUnit));
        return units << 28 | size.used++;
    }

    // True: another cell has moved there, and is called `cell` from now on.
    bool remove(CellNumber cell) {
        Size& size = sizes_[units(cell)];
        const CellNumber last = units(cell) << 28 | --size.used;
        if (cell != last) std::copy_n((*this)[last], units(cell) * kUnit, (*this)[cell]);
        // One piece is kept in hand, for a table that goes up and down by one.
        if (size.used + 2 * kPiece <= size.pieces.size() * kPiece) size.pieces.pop_back();
        return cell != last;
    }

    std::uint8_t* operator[](CellNumber cell) {
        return const_cast<std::uint8_t*>(static_cast<const Cells&>(*this)[cell]);
    }
    const std::uint8_t* operator[](CellNumber cell) const {
        const std::uint32_t place = cell & kMaxPlace;
        return &sizes_[units(cell)].pieces[place / kPiece][place % kPiece * units(cell) * kUnit];
    }

    std::size_t memory() const {
        std::size_t bytes = 0;
        for (std::size_t units = 0; units < sizes_.size(); ++units)
            bytes += sizes_[units].pieces.size() * kPiece * units * kUnit +
                     sizes_[units].pieces.capacity() * sizeof(void*);
        return bytes;
    }

 private:
    static constexpr std::uint32_t kPiece = 1024;  // cells that are made at once
    struct Size {
        std::vector<std::unique_ptr<std::uint8_t[]>> pieces;
        std::uint32_t used = 0;
    };

    std::array<Size, kMostUnits + 1> sizes_;  // by units
};

}  // namespace carpd
