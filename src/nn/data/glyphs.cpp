// SPDX-License-Identifier: BSD-3-Clause
#include "nn/data/glyphs.hpp"

#include <array>

namespace dlscale::nn {
namespace {

constexpr Point ring[] = {{0, -1}, {.5F, -.75F}, {.65F, 0},  {.5F, .75F},
                          {0, 1},  {-.5F, .75F}, {-.65F, 0}, {-.5F, -.75F}};
constexpr Point narrow_ring[] = {{0, -1}, {.45F, -.7F}, {.45F, .7F},
                                 {0, 1},  {-.45F, .7F}, {-.45F, -.7F}};
constexpr Point bar[] = {{0, -1}, {0, 1}};
constexpr Point flagged_bar[] = {{-.4F, -.55F}, {.1F, -1}, {.1F, 1}};
constexpr Point swan[] = {{-.6F, -.5F}, {-.45F, -.95F}, {.3F, -1.05F}, {.65F, -.5F},
                          {.2F, .1F},   {-.6F, 1},      {.65F, 1}};
constexpr Point swan_neck[] = {{-.55F, -.6F}, {-.1F, -1.1F}, {.6F, -.85F}, {.45F, -.1F}, {-.65F, .95F}};
constexpr Point swan_foot[] = {{-.65F, .95F}, {.65F, .95F}};
constexpr Point three_top[] = {{-.55F, -.8F}, {0, -1.1F}, {.65F, -.8F}, {.5F, -.15F}, {-.15F, -.05F}};
constexpr Point three_bottom[] = {{-.15F, -.05F}, {.55F, 0}, {.7F, .75F}, {.1F, 1.1F}, {-.6F, .75F}};
constexpr Point three_flat[] = {{-.5F, -1}, {.5F, -1}, {-.05F, -.15F}};
constexpr Point three_belly[] = {{-.05F, -.15F}, {.6F, -.1F}, {.7F, .75F}, {.1F, 1.1F}, {-.6F, .75F}};
constexpr Point four_sail[] = {{.3F, -1}, {-.65F, .35F}, {.7F, .35F}};
constexpr Point four_mast[] = {{.3F, -1}, {.3F, 1}};
constexpr Point four_open[] = {{-.45F, -1}, {-.55F, .15F}, {.6F, .15F}};
constexpr Point four_open_mast[] = {{.4F, -.8F}, {.35F, 1}};
constexpr Point five_hook[] = {{.55F, -1}, {-.45F, -1}, {-.5F, -.1F}};
constexpr Point five_belly[] = {{-.5F, -.1F}, {.25F, -.4F},  {.75F, .2F},
                                {.5F, .95F},  {-.2F, 1.05F}, {-.6F, .75F}};
constexpr Point six[] = {{.4F, -1},   {-.2F, -.8F}, {-.65F, 0}, {-.55F, .85F}, {0, 1.1F},
                         {.6F, .75F}, {.5F, .1F},   {0, -.05F}, {-.55F, .4F}};
constexpr Point six_stem[] = {{-.05F, -1}, {-.5F, .5F}};
constexpr Point low_loop[] = {{0, 0}, {.45F, .1F}, {.5F, .8F}, {0, 1}, {-.5F, .8F}, {-.5F, .15F}};
constexpr Point seven[] = {{-.6F, -.95F}, {.6F, -.95F}, {-.1F, 1}};
constexpr Point seven_bar[] = {{-.3F, .05F}, {.5F, .05F}};
constexpr Point eight_top[] = {{0, -1}, {.45F, -.85F}, {.45F, -.2F},
                               {0, 0},  {-.45F, -.2F}, {-.45F, -.85F}};
constexpr Point eight_bottom[] = {{0, 0}, {.55F, .2F},   {.55F, .85F},
                                  {0, 1}, {-.55F, .85F}, {-.55F, .2F}};
constexpr Point eight_line[] = {{.5F, -.8F}, {-.3F, -1.05F}, {-.55F, -.5F}, {.5F, .3F},
                                {.5F, .95F}, {-.3F, 1.05F},  {-.55F, .5F},  {.45F, -.3F}};
constexpr Point high_loop[] = {{0, 0}, {-.45F, -.1F}, {-.5F, -.8F}, {0, -1}, {.5F, -.8F}, {.5F, -.15F}};
constexpr Point nine_stem[] = {{.5F, -.6F}, {.35F, 1}};
constexpr Point nine_tail[] = {{.48F, -.7F}, {.55F, .5F}, {.2F, 1.05F}, {-.45F, .9F}};

constexpr Stroke zero_a[] = {{ring, true, true}};
constexpr Stroke zero_b[] = {{narrow_ring, true, true}};
constexpr Stroke one_a[] = {{bar}};
constexpr Stroke one_b[] = {{flagged_bar}};
constexpr Stroke two_a[] = {{swan, true}};
constexpr Stroke two_b[] = {{swan_neck, true}, {swan_foot}};
constexpr Stroke three_a[] = {{three_top, true}, {three_bottom, true}};
constexpr Stroke three_b[] = {{three_flat}, {three_belly, true}};
constexpr Stroke four_a[] = {{four_sail}, {four_mast}};
constexpr Stroke four_b[] = {{four_open}, {four_open_mast}};
constexpr Stroke five_a[] = {{five_hook}, {five_belly, true}};
constexpr Stroke six_a[] = {{six, true}};
constexpr Stroke six_b[] = {{six_stem}, {low_loop, true, true}};
constexpr Stroke seven_a[] = {{seven}};
constexpr Stroke seven_b[] = {{seven}, {seven_bar}};
constexpr Stroke eight_a[] = {{eight_top, true, true}, {eight_bottom, true, true}};
constexpr Stroke eight_b[] = {{eight_line, true, true}};
constexpr Stroke nine_a[] = {{high_loop, true, true}, {nine_stem}};
constexpr Stroke nine_b[] = {{high_loop, true, true}, {nine_tail, true}};

using Glyph = std::span<const Stroke>;
constexpr std::array<std::array<Glyph, 2>, 10> glyphs = {{{zero_a, zero_b},
                                                          {one_a, one_b},
                                                          {two_a, two_b},
                                                          {three_a, three_b},
                                                          {four_a, four_b},
                                                          {five_a, {}},
                                                          {six_a, six_b},
                                                          {seven_a, seven_b},
                                                          {eight_a, eight_b},
                                                          {nine_a, nine_b}}};

}  // namespace

std::uint32_t glyph_styles(int label) {
  return glyphs[static_cast<std::size_t>(label)][1].empty() ? 1 : 2;
}

std::span<const Stroke> glyph_strokes(int label, std::uint32_t style) {
  return glyphs[static_cast<std::size_t>(label)][style];
}

}  // namespace dlscale::nn
